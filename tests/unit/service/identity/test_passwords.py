import asyncio
import threading

import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from sottovoce.errors import Kind, Refused
from sottovoce.service.identity import passwords
from sottovoce.service.identity.passwords import Hasher, Hashing
from sottovoce.settings import SAFE_PASSWORD_MEMORY

PASSWORD = "correct horse battery"
CHEAP = Hasher(memory=32)


def test_a_hash_is_of_the_recommended_kind_and_never_the_same() -> None:
    hasher = Hasher()
    made = [hasher.hashed(PASSWORD) for _ in range(2)]
    assert made[0] != made[1]
    assert PASSWORD not in made[0]
    found = extract_parameters(made[0])
    assert (found.type, found.memory_cost, found.time_cost, found.parallelism) == (Type.ID, 65_536, 3, 4)
    assert (found.salt_len, found.hash_len) == (16, 32)
    assert all(hasher.matches(each, PASSWORD) for each in made)
    assert not hasher.matches(made[0], PASSWORD + " ")
    assert extract_parameters(hasher.hash_for_unknown_users()) == found


def test_the_memory_of_a_hash_is_as_given() -> None:
    assert extract_parameters(Hasher(memory=128).hashed(PASSWORD)).memory_cost == 128
    assert passwords.SAFE_MEMORY == SAFE_PASSWORD_MEMORY


def test_nobodys_hash_costs_as_much_as_anybodys_and_fits_no_password() -> None:
    assert extract_parameters(CHEAP.hash_for_unknown_users()) == extract_parameters(CHEAP.hashed(PASSWORD))
    assert CHEAP.hash_for_unknown_users() != CHEAP.hash_for_unknown_users()
    assert not CHEAP.matches(None, PASSWORD)
    assert not CHEAP.matches(None, "")


@pytest.mark.parametrize(
    "kept", ["", "nonsense", "$argon2id$v=19$m=65536,t=3,p=4$AAAA", "$2b$12$abcdefghijklmnopqrstuv"]
)
def test_what_is_no_hash_fits_no_password(kept: str) -> None:
    assert not CHEAP.matches(kept, PASSWORD)


def test_a_hash_at_another_cost_fits_and_is_to_be_made_anew() -> None:
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    assert CHEAP.matches(old, PASSWORD)
    assert CHEAP.is_outdated(old)
    assert not CHEAP.is_outdated(CHEAP.hashed(PASSWORD))


@pytest.mark.parametrize(
    ("one", "other"), [("Stra\u00dfe \u00f6 12345", "Stra\u00dfe o\u0308 12345"), ("\ufb01ne 1234567", "fine 1234567")]
)
def test_the_same_characters_are_the_same_password(one: str, other: str) -> None:
    assert CHEAP.matches(CHEAP.hashed(one), other)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("123456789", "10 to 256"), ("", "10 to 256"), ("x" * 257, "10 to 256"), ("e\u0301" * 9, "10 to 256"), ("\ufdfa" * 20, "10 to 256"),
        ("\ud800" * 10, "valid Unicode"), ("ADA@example.org", "must not be the e-mail"),
        ("\uff21da@example.org", "must not be the e-mail"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_password_is_refused(password: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        passwords.checked(password, "ada@example.org", at="new")
    assert (caught.value.kind, caught.value.at) == (Kind.BAD_REQUEST, "new")
    assert password not in caught.value.detail or not password


@pytest.mark.parametrize(
    "password", ["1234567890", "x" * 256, "\N{PERSON FROWNING}" * 10, "tab\tand\nline", "ada@example.org1"]
)
def test_all_else_can(password: str) -> None:
    assert passwords.checked(password, "ada@example.org") == password


def test_hashes_are_made_two_at_a_time_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    go, begun, most = threading.Event(), threading.Semaphore(0), passwords.MOST_WAITING
    at_work: list[int] = []

    def slow(_hasher: Hasher, _kept: str | None, _password: str) -> bool:
        at_work.append(1)
        begun.release()
        go.wait(60)
        at_work.pop()
        return True

    monkeypatch.setattr(Hasher, "matches", slow)

    async def run() -> None:
        hashing = Hashing(CHEAP)
        waiting = [asyncio.create_task(hashing.matches(None, PASSWORD)) for _ in range(most)]
        for _ in range(passwords.AT_A_TIME):
            assert await asyncio.to_thread(begun.acquire, timeout=60)
        with pytest.raises(Refused, match="try again") as caught:
            await hashing.matches(None, PASSWORD)
        assert caught.value.kind is Kind.UNAVAILABLE
        assert len(at_work) == passwords.AT_A_TIME
        go.set()
        assert all(await asyncio.gather(*waiting))
        assert await hashing.matches(None, PASSWORD)

    asyncio.run(run())


def test_hashing_off_the_loop_is_hashing() -> None:
    async def run() -> None:
        hashing = Hashing(CHEAP)
        kept = await hashing.hashed(PASSWORD)
        assert await hashing.matches(kept, PASSWORD)
        assert not await hashing.matches(None, PASSWORD)

    asyncio.run(run())
