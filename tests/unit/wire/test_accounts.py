import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.errors import Kind, Refused
from sottovoce.wire import accounts
from sottovoce.wire.accounts import Confirmation, Credentials, NewToken, PasswordChange
from sottovoce.wire.members import MemberChange, NewMember


def test_bodies_are_read_as_they_are() -> None:
    found = accounts.parsed(Credentials, b'{"email": " A@b ", "password": " x "}')
    assert (found.email, found.password) == (" A@b ", " x ")
    assert accounts.parsed(NewToken, '{"name": "夜勤"}'.encode()).name == "夜勤"


@pytest.mark.parametrize("model", [Credentials, Confirmation, PasswordChange])
def test_secrets_are_not_shown(model: type[accounts.Body]) -> None:
    body = dict.fromkeys(model.model_fields, "a-secret-of-theirs")
    secrets = [name for name in model.model_fields if name != "email"]
    shown = repr(accounts.parsed(model, json.dumps({**body, **({"email": "e"} if "email" in body else {})}).encode()))
    assert all(f"{name}=" not in shown for name in secrets)
    assert "a-secret-of-theirs" not in shown


@pytest.mark.parametrize("value", ["1", "null", "true", "[]", "{}", "1e999", '"' + "x" * 1001 + '"'])
def test_the_member_that_is_wrong_is_named_and_its_value_is_not(value: str) -> None:
    with pytest.raises(Refused) as caught:
        accounts.parsed(Credentials, f'{{"email": "a@b", "password": {value}}}'.encode())
    assert (caught.value.at, caught.value.kind) in {("password", Kind.BAD_REQUEST), (None, Kind.MALFORMED)}
    assert "xx" not in caught.value.detail


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    for model in (Credentials, Confirmation, NewToken, NewMember, MemberChange):
        with contextlib.suppress(Refused):
            accounts.parsed(model, body)


def test_an_account_is_shown_whole() -> None:
    shown = accounts.account_object(user_id=7, email=None, verified=False, balance=-3, workspace_id=2, role="admin")
    members = {"user_id": 7, "email": None, "verified": False, "balance": -3, "workspace_id": 2, "role": "admin"}
    assert shown == members
