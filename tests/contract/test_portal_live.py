"""The key of the page of live captions: who gets one, and what it opens."""

import asyncio
from collections.abc import Iterator

import pytest

from sottovoce.service.identity.api_keys import Product
from tests.contract.test_portal import COOKIE, House, Visitor

LIVE = f"{COOKIE}_live"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with asyncio.Runner() as runner:
        found = House(tmp_path_factory.mktemp("live"), runner)
        yield found
        found.runtime.close()


@pytest.fixture
def visitor(house: House) -> Visitor:
    return house.visitor()


def key(visitor: Visitor, **headers: str):
    return visitor("POST", "/portal/live-key", json={}, headers=headers)


def test_a_person_who_signed_in_with_a_permanent_key_gets_a_key_for_one_session(house: House, visitor: Visitor) -> None:
    visitor.sign_in()
    answer = key(visitor)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["ttl"] == 60
    caller = house._runner.run(house.runtime.api_key_cache.caller(answer.json()["key"]))
    assert caller is not None
    assert caller.product is Product.RT
    assert visitor("GET", "/v2/jobs", headers={"authorization": f"Bearer {answer.json()['key']}"}).status_code == 403


def test_a_temporary_key_for_jobs_makes_no_key_for_realtime(visitor: Visitor) -> None:
    visitor.sign_in()
    temporary = visitor.cookies[COOKIE]
    assert visitor.sign_in(temporary).status_code == 204
    assert not visitor.cookies.get(LIVE)
    answer = key(visitor)
    assert answer.status_code == 403
    assert "use a permanent key" in answer.text


def test_without_a_sign_in_there_is_no_key(visitor: Visitor) -> None:
    assert key(visitor).status_code == 401
    visitor.sign_in()
    assert visitor("DELETE", "/portal/session").status_code == 204
    assert key(visitor).status_code == 401


def test_another_page_gets_no_key(visitor: Visitor) -> None:
    visitor.sign_in()
    assert key(visitor, origin="https://evil.example").status_code == 403


def test_the_page_needs_a_sign_in_and_the_overlay_does_not(visitor: Visitor) -> None:
    answer = visitor("GET", "/portal/live")
    assert (answer.status_code, answer.headers["location"]) == (303, "/portal/sign-in?to=/portal/live")
    assert visitor("GET", "/portal/live/overlay").status_code == 200
    visitor.sign_in()
    assert "<live-captions>" in visitor("GET", "/portal/live").text
