import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sottovoce.service.identity import api_key_cache, api_keys, temporary_keys
from sottovoce.service.identity.api_key_cache import ApiKeyCache, ControlAway
from sottovoce.service.identity.api_keys import Product
from sottovoce.service.identity.temporary_keys import TokenIssuer, TokenRequest
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor, new_key
from tests.servers import PATIENCE
from tests.unit.service.service_values import database_at, migrated

SECRET = "abcdefgh12345678"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path, migrate.CONTROL) as made:
        with made.writing() as connection:
            api_keys.bootstrap(connection, SECRET)
        yield made


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine is no database that is away."""
    monkeypatch.setattr(api_key_cache, "PATIENCE", PATIENCE)


def revoke(control: Database) -> None:
    with control.writing() as connection:
        for key in api_keys.list_keys(connection):
            api_keys.revoke_key(connection, key.id)


def away(ring: ApiKeyCache, folder: Path) -> None:
    """From now on *ring* asks a database that cannot answer."""
    gone = Database(f"sqlite:///{folder}/nowhere/control.db")
    ring._callers._control = ring._verification_keys._control = gone


def ask(ring: ApiKeyCache, secret: str = SECRET) -> api_keys.Caller | None:
    return asyncio.run(ring.caller(secret))


def test_an_answer_is_remembered_briefly_and_a_revoked_key_soon_bites(control: Database) -> None:
    clock = Clock()
    ring = ApiKeyCache(control, clock)
    assert ask(ring)
    revoke(control)
    clock.now += api_key_cache.FRESH_SECONDS - 0.1
    assert ask(ring)
    clock.now += 0.2
    assert ask(ring) is None
    assert api_key_cache.FRESH_SECONDS <= 5.0  # design §3


def test_unknown_keys_are_nobodys(control: Database) -> None:
    assert ask(ApiKeyCache(control, Clock()), "who-is-this-then") is None


def test_a_known_key_works_while_the_control_database_is_away(control: Database, tmp_path: Path) -> None:
    clock = Clock()
    ring = ApiKeyCache(control, clock)
    known = ask(ring)
    assert ask(ring, "unknown-secret") is None
    away(ring, tmp_path)
    clock.now += api_key_cache.FRESH_SECONDS + 1
    assert ask(ring) == known
    clock.now += api_key_cache.STALE_IF_DOWN_SECONDS - api_key_cache.FRESH_SECONDS - 2
    assert ask(ring) == known  # the age counts from the last real answer
    clock.now += 2
    with pytest.raises(ControlAway):
        ask(ring)
    ring._callers._control.close()


def test_a_database_that_is_away_is_not_asked_for_each_request(control: Database, tmp_path: Path) -> None:
    """One that hangs would else cost each of them its patience."""
    clock = Clock()
    ring = ApiKeyCache(control, clock)
    known = ask(ring)
    away(ring, tmp_path)
    clock.now += api_key_cache.FRESH_SECONDS + 1
    assert ask(ring) == known  # it was asked, in vain
    asked = ring._callers._control
    ring._callers._control = control
    revoke(control)
    assert ask(ring) == known
    clock.now += api_key_cache.FRESH_SECONDS + 0.1
    assert ask(ring) is None  # back, and the revocation bites as soon as ever
    asked.close()


def test_an_unknown_key_is_not_judged_while_it_is_away(control: Database, tmp_path: Path) -> None:
    clock = Clock()
    ring = ApiKeyCache(control, clock)
    assert ask(ring, "unknown-secret") is None
    away(ring, tmp_path)
    with pytest.raises(ControlAway):
        ask(ring, "never-seen-secret")
    clock.now += api_key_cache.FRESH_SECONDS + 1
    with pytest.raises(ControlAway):
        ask(ring, "unknown-secret")
    ring._callers._control.close()


def test_a_control_database_without_tables_is_away(tmp_path: Path) -> None:
    with database_at(tmp_path / "empty.db") as empty, pytest.raises(ControlAway):
        ask(ApiKeyCache(empty, Clock()))


def test_a_control_database_that_never_answers_is_away(control: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    ring = ApiKeyCache(control, clock)
    known = ask(ring)
    monkeypatch.setattr(api_key_cache, "PATIENCE", 0.05)
    go_on = threading.Event()
    monkeypatch.setattr(api_keys, "caller", lambda *_: go_on.wait(PATIENCE))
    clock.now += api_key_cache.FRESH_SECONDS + 1
    try:
        assert ask(ring) == known
        with pytest.raises(ControlAway):
            ask(ring, "never-seen-secret")
    finally:
        go_on.set()


# ── temporary keys ──


class Region:
    """A region with its keyring, its mint, and clocks that go together."""

    def __init__(self, control: Database, name: str = "eu1") -> None:
        self.clock = Clock()
        self.control = control
        self.ring = ApiKeyCache(control, self.clock, now=self.clock, region=name)
        self.mint = TokenIssuer(control, Encryptor([new_key()]), name, self.clock)

    def make(self, **changes: object) -> str:
        with self.control.reading() as connection:
            first = api_keys.list_keys(connection)[0]
        values: dict[str, Any] = {"key_id": first.id, "project_id": 1, "product": Product.BATCH, "ttl": 60}
        return asyncio.run(self.mint.make(TokenRequest(**{**values, **changes})))[0]

    def later(self, seconds: float) -> None:
        self.clock.now += seconds


def test_a_temporary_key_speaks_for_its_key_and_manages_nothing(control: Database) -> None:
    region = Region(control)
    permanent = ask(region.ring)
    found = ask(region.ring, region.make(client_ref="shop 7"))
    assert permanent
    assert found
    assert permanent.manages
    assert not found.manages
    assert (found.key_id, found.project_id, found.user_id) == (permanent.key_id, 1, permanent.user_id)
    assert (found.product, found.region, found.client_ref) == (Product.BATCH, "eu1", "shop 7")
    assert found.actor == f"{permanent.key_id}/{found.token_id}"


def test_a_temporary_key_ends(control: Database) -> None:
    region = Region(control)
    token = region.make()
    assert ask(region.ring, token)
    region.later(69.9)
    assert ask(region.ring, token)
    assert not asyncio.run(region.ring.is_expired(token))
    region.later(0.2)
    assert ask(region.ring, token) is None
    assert asyncio.run(region.ring.is_expired(token))
    assert not asyncio.run(region.ring.is_expired(SECRET))
    assert not asyncio.run(region.ring.is_expired(token[:-8] + "AAAAAAAA"))


def test_a_revoked_key_takes_its_temporary_keys_with_it(control: Database) -> None:
    region = Region(control)
    token, other = region.make(ttl=86_400), region.make(ttl=86_400)
    assert ask(region.ring, token)
    revoke(control)
    region.later(api_key_cache.FRESH_SECONDS + 0.1)
    assert ask(region.ring, token) is None
    assert ask(region.ring, other) is None


def test_forgotten_signing_keys_take_theirs_with_them(control: Database) -> None:
    region = Region(control)
    token = region.make(ttl=86_400)
    assert ask(region.ring, token)
    with control.writing() as connection:
        temporary_keys.forget(connection, "eu1")
    region.later(api_key_cache.FRESH_SECONDS + 0.1)
    assert ask(region.ring, token) is None
    assert not asyncio.run(region.ring.is_expired(token))


def test_a_key_bound_later_binds_its_temporary_keys(control: Database) -> None:
    region = Region(control)
    token = region.make()
    with control.writing() as connection:
        connection.execute(sa.update(t.api_keys).values(client_ref="shop 7"))
    found = ask(region.ring, token)
    assert found
    assert found.client_ref == "shop 7"


def test_a_temporary_key_works_while_the_control_database_is_away(control: Database, tmp_path: Path) -> None:
    region = Region(control)
    first, second = region.make(ttl=7200), region.make(ttl=7200)
    short = region.make()
    known = ask(region.ring, first)
    away(region.ring, tmp_path)
    region.later(api_key_cache.FRESH_SECONDS + 1)
    assert ask(region.ring, first) == known
    assert ask(region.ring, second), "whose key is known needs no look"
    region.later(100)
    assert ask(region.ring, short) is None
    region.later(api_key_cache.STALE_IF_DOWN_SECONDS)
    with pytest.raises(ControlAway):
        ask(region.ring, first)
    region.ring._callers._control.close()


def test_another_regions_temporary_key_is_told_apart(control: Database) -> None:
    theirs = Region(control, "us1").make()
    found = ask(Region(control).ring, theirs)
    assert found
    assert found.region == "us1"


def test_another_installations_temporary_key_is_nobodys(control: Database, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with migrated(tmp_path / "other", migrate.CONTROL) as other:
        with other.writing() as connection:
            api_keys.bootstrap(connection, SECRET)
        theirs = Region(other).make()
    assert ask(Region(control).ring, theirs) is None


def test_memory_is_bounded_and_holds_no_secret(control: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_key_cache, "CAPACITY", 3)
    ring = ApiKeyCache(control, Clock())
    for number in range(10):
        ask(ring, f"secret-number-{number}")
    assert len(ring._callers._answers) == 3
    assert "secret-number" not in repr(ring._callers._answers)


def test_the_log_names_the_key_and_not_its_secret(
    control: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    ring = ApiKeyCache(control, clock)
    known = ask(ring)
    assert known
    away(ring, tmp_path)
    clock.now += api_key_cache.FRESH_SECONDS + 1
    ask(ring)
    ring._callers._control.close()
    (record,) = (each for each in caplog.records if each.levelno >= logging.WARNING)
    assert record.__dict__["key_id"] == known.key_id
    assert SECRET not in repr(record.__dict__)
    assert api_keys.digest(SECRET) not in repr(record.__dict__)
