import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.errors import Kind, Refused
from sottovoce.wire import management


def asked(body: Any = None, **query: str) -> management.KeyRequest:
    return management.key_request(query, b"" if body is None else json.dumps(body).encode())


@pytest.mark.parametrize(
    "body", [None, {}, {"ttl": None, "name": None, "project_id": None, "client_ref": None, "region": None}]
)
def test_without_a_body_a_permanent_batch_key_of_the_callers_project_is_asked_for(body: Any) -> None:
    plain = management.KeyRequest(type="batch", project_id=None, name="", client_ref=None, ttl=None)
    assert asked(body) == plain


@pytest.mark.parametrize("region", ["eu", "usa", "au", "mars", 7])
def test_a_region_is_ignored_and_so_is_what_nobody_knows(region: Any) -> None:
    found = asked({"ttl": 60, "region": region, "sm-app": {}, "client_ref": "a"}, **{"type": "rt", "sm-sdk": "x"})
    assert found == management.KeyRequest(type="rt", project_id=None, name="", client_ref="a", ttl=60)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"ttl": "60"}, "ttl in body must be of type int64"),
        ({"ttl": 60.0}, "ttl in body must be of type int64"),
        ({"ttl": True}, "ttl in body must be of type int64"),
        ({"ttl": 1 << 63}, "ttl in body must be of type int64"),
        ({"project_id": "1"}, "project_id in body must be of type int64"),
        ({"name": 1}, "name in body must be of type string"),
        ({"client_ref": ["a"]}, "client_ref in body must be of type string"),
        ({"client_ref": ""}, "client_ref in body should be at least 1 chars long"),
        ({"client_ref": "  "}, "client_ref in body should be at least 1 chars long"),
        ([], "body in body must be of type object"),
        ("x", "body in body must be of type object"),
        (7, "body in body must be of type object"),
    ],
)
def test_a_body_that_is_not_as_described_is_told_in_the_words_of_the_contracts_generator(body: Any, text: str) -> None:
    with pytest.raises(Refused) as caught:
        asked(body)
    status, told = management.management_error(caught.value)
    assert status == 422
    assert told == {"code": 422, "error": "Unprocessable Entity", "detail": text, "message": text}


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"{'ttl': 60}", b'{"ttl": NaN}', b"[" * 60_000, b'{"client_ref":"\\ud800"}']
)
def test_what_is_no_json_is_400(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        management.key_request({}, body)
    assert management.management_error(caught.value)[0] == 400


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
NAMES = st.sampled_from(["ttl", "name", "project_id", "client_ref", "region", "description", "contract_id"])


@given(st.dictionaries(NAMES, VALUES) | VALUES)
def test_whatever_is_sent_is_understood_or_refused(body: Any) -> None:
    text = json.dumps(body).encode()
    refusals: list[Refused] = []
    for read in (lambda: management.key_request({}, text), lambda: management.project_request(text)):
        try:
            read()
        except Refused as refused:
            refusals.append(refused)
    assert {management.management_error(refused)[0] for refused in refusals} <= {400, 422}


def test_types_are_those_of_the_contract() -> None:
    assert [asked(type=kind).type for kind in ("batch", "rt", "tts", "flow")] == ["batch", "rt", "tts", "flow"]
    with pytest.raises(Refused, match=r"type in query should be one of \[rt batch tts\]"):
        asked(type="voice")


def test_a_project_needs_a_name() -> None:
    assert management.project_request(b'{"name":"a","contract_id":7,"description":"b"}') == ("a", "b")
    for body in (b"", b"{}", b'{"name":null}'):
        with pytest.raises(Refused, match="name in body is required"):
            management.project_request(body)
    with pytest.raises(Refused, match="contract_id in body"):
        management.project_request(b'{"name":"a","contract_id":"7"}')


def test_objects_leave_out_what_there_is_not() -> None:
    key = management.key_object(key_id="a", name="n", created_at=0, client_ref=None)
    assert key == {"apikey_id": "a", "name": "n", "created_at": "1970-01-01T00:00:00.000Z"}
    assert management.key_object(key_id="a", name="n", created_at=0, client_ref="r")["client_ref"] == "r"
    project = management.project_object(project_id=1, name="n", description=None, is_default=True, created_at=0)
    assert "description" not in project
    assert management.new_key_object("v", None) == {"apikey_id": None, "key_value": "v"}


@pytest.mark.parametrize("kind", Kind)
def test_every_refusal_has_an_answer(kind: Kind) -> None:
    status, body = management.management_error(Refused(kind, "because"))
    assert 400 <= status < 600
    assert body["code"] == status
    assert body["error"]
    assert "because" in (body.get("detail") or body["error"])
