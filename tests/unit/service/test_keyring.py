import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sottovoce.service import accounts, keyring, migrate
from sottovoce.service.database import Database
from sottovoce.service.keyring import ControlAway, Keyring
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
            accounts.bootstrap(connection, SECRET)
        yield made


def revoke(control: Database) -> None:
    with control.writing() as connection:
        for key in accounts.list_keys(connection):
            accounts.revoke_key(connection, key.id)


def away(ring: Keyring, folder: Path) -> None:
    """From now on *ring* asks a database that cannot answer."""
    ring._control = Database(f"sqlite:///{folder}/nowhere/control.db")


def ask(ring: Keyring, secret: str = SECRET) -> accounts.Caller | None:
    return asyncio.run(ring.caller(secret))


def test_an_answer_is_remembered_briefly_and_a_revoked_key_soon_bites(control: Database) -> None:
    clock = Clock()
    ring = Keyring(control, clock)
    assert ask(ring)
    revoke(control)
    clock.now += keyring.FRESH - 0.1
    assert ask(ring)
    clock.now += 0.2
    assert ask(ring) is None
    assert keyring.FRESH <= 5.0  # design §3


def test_unknown_keys_are_nobodys(control: Database) -> None:
    assert ask(Keyring(control, Clock()), "who-is-this-then") is None


def test_a_known_key_works_while_the_control_database_is_away(control: Database, tmp_path: Path) -> None:
    clock = Clock()
    ring = Keyring(control, clock)
    known = ask(ring)
    assert ask(ring, "unknown-secret") is None
    away(ring, tmp_path)
    clock.now += keyring.FRESH + 1
    assert ask(ring) == known
    clock.now += keyring.STALE - keyring.FRESH - 2
    assert ask(ring) == known  # the age counts from the last real answer
    clock.now += 2
    with pytest.raises(ControlAway):
        ask(ring)
    ring._control.close()


def test_an_unknown_key_is_not_judged_while_it_is_away(control: Database, tmp_path: Path) -> None:
    clock = Clock()
    ring = Keyring(control, clock)
    assert ask(ring, "unknown-secret") is None
    away(ring, tmp_path)
    with pytest.raises(ControlAway):
        ask(ring, "never-seen-secret")
    clock.now += keyring.FRESH + 1
    with pytest.raises(ControlAway):
        ask(ring, "unknown-secret")
    ring._control.close()


def test_a_control_database_without_tables_is_away(tmp_path: Path) -> None:
    with database_at(tmp_path / "empty.db") as empty, pytest.raises(ControlAway):
        ask(Keyring(empty, Clock()))


def test_a_control_database_that_never_answers_is_away(control: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    ring = Keyring(control, clock)
    known = ask(ring)
    monkeypatch.setattr(keyring, "PATIENCE", 0.05)
    go_on = threading.Event()
    monkeypatch.setattr(accounts, "caller", lambda *_: go_on.wait(30))
    clock.now += keyring.FRESH + 1
    try:
        assert ask(ring) == known
        with pytest.raises(ControlAway):
            ask(ring, "never-seen-secret")
    finally:
        go_on.set()


def test_memory_is_bounded_and_holds_no_secret(control: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "CAPACITY", 3)
    ring = Keyring(control, Clock())
    for number in range(10):
        ask(ring, f"secret-number-{number}")
    assert len(ring._answers) == 3
    assert "secret-number" not in repr(ring._answers)


def test_the_log_names_the_key_and_not_its_secret(
    control: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    ring = Keyring(control, clock)
    known = ask(ring)
    assert known
    away(ring, tmp_path)
    clock.now += keyring.FRESH + 1
    ask(ring)
    ring._control.close()
    (record,) = caplog.records
    assert record.__dict__["key_id"] == known.key_id
    assert SECRET not in repr(record.__dict__)
    assert accounts.digest(SECRET) not in repr(record.__dict__)
