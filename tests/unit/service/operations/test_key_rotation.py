import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from sottovoce.job import Event
from sottovoce.service.identity import api_keys, audit_log, temporary_keys
from sottovoce.service.jobs import repository
from sottovoce.service.operations import key_rotation
from sottovoce.service.operations.key_rotation import Busy, Count, Region
from sottovoce.service.storage import key_check, migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor, read_keys
from tests.unit.service.service_values import migrated, new_job

SECRET = b"hush-hush"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A key file, the databases that it seals, and the vault of a server that runs beside."""

    path: Path
    control: Database
    regions: list[Region]
    running: Encryptor

    def configs(self, number: int = 0) -> dict[str, bytes]:
        with self.regions[number].database.reading() as connection:
            rows = connection.execute(sa.select(t.jobs.c.id, t.jobs.c.config)).all()
        return {row.id: row.config for row in rows if row.config is not None}

    def rotate(self) -> Count:
        return key_rotation.rotate(self.path, self.control, self.regions)

    def drop_old(self, pause: Any = lambda _: None) -> Count:
        return key_rotation.drop_old(self.path, self.control, self.regions, pause)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    path = tmp_path / "secrets.key"
    encryptor = Encryptor.open_file(path, create=True)
    (tmp_path / "us1").mkdir()
    with (
        migrated(tmp_path, migrate.CONTROL) as control,
        migrated(tmp_path) as first,
        migrated(tmp_path / "us1") as second,
    ):
        with control.writing() as connection:
            api_keys.bootstrap(connection, "abcdefgh12345678")
            for name in ("eu1", "us1"):
                temporary_keys.renew(connection, encryptor, name)
        for number, database in enumerate((first, second)):
            for job in range(5):
                with database.writing() as connection:
                    encrypted = encryptor.encrypt(SECRET + str(job).encode())
                    repository.insert(connection, new_job(f"job{number}00000{job}", config=encrypted))
        regions = [Region(name="eu1", database=first), Region(name="us1", database=second)]
        yield Place(path=path, control=control, regions=regions, running=encryptor)


def opened(configs: dict[str, bytes], key: bytes) -> list[bytes]:
    return sorted(Fernet(key).decrypt(encrypted) for encrypted in configs.values())


PLAIN = [SECRET + str(number).encode() for number in range(5)]


def test_everything_is_sealed_with_a_new_key_while_a_server_runs(place: Place) -> None:
    (old,) = read_keys(place.path)
    before = place.configs()
    count = place.rotate()
    new, kept = read_keys(place.path)
    assert kept == old
    assert count.checked == count.changed == 10
    for number in (0, 1):
        assert opened(place.configs(number), new) == PLAIN
    assert [place.running.decrypt(encrypted) for encrypted in place.configs().values()] == [
        place.running.decrypt(encrypted) for encrypted in before.values()
    ]
    assert Fernet(new).decrypt(place.running.encrypt(b"x")) == b"x"


def test_the_signing_keys_are_new_too_and_their_old_halves_gone(place: Place) -> None:
    place.rotate()
    new = Encryptor(read_keys(place.path)[:1])
    with place.control.reading() as connection:
        rows = connection.execute(sa.select(t.signing_keys)).all()
        assert all(temporary_keys.opens(connection, new, region.name) for region in place.regions)
    assert sorted((row.region, row.private_key is None, row.retired_at is None) for row in rows) == [
        ("eu1", False, True), ("eu1", True, False), ("us1", False, True), ("us1", True, False),
    ]  # fmt: skip


def test_a_second_rotation_goes_on_with_the_first(place: Place) -> None:
    place.rotate()
    keys = read_keys(place.path)
    assert place.rotate() == Count(checked=10)
    assert read_keys(place.path) == keys


@pytest.mark.parametrize("killed_after", range(4))
def test_a_killed_rotation_is_taken_up_where_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    monkeypatch.setattr(key_rotation, "BATCH", 2)
    rows, looks = key_rotation._rows, []

    def dying(*arguments: Any) -> Any:
        looks.append(arguments)
        if len(looks) > killed_after:
            raise KeyboardInterrupt
        return rows(*arguments)

    monkeypatch.setattr(key_rotation, "_rows", dying)
    with pytest.raises(KeyboardInterrupt):
        place.rotate()
    monkeypatch.setattr(key_rotation, "_rows", rows)
    keys = read_keys(place.path)
    assert len(keys) == 2
    assert sorted(place.running.decrypt(encrypted) for encrypted in place.configs().values()) == PLAIN
    count = place.rotate()
    assert (count.checked, count.changed) == (10, 10 - min(5, 2 * killed_after))
    assert read_keys(place.path) == keys
    assert opened(place.configs(), keys[0]) == PLAIN


def test_the_old_key_goes_once_servers_have_let_go_of_it(place: Place) -> None:
    place.rotate()
    new, old = read_keys(place.path)
    waited: list[float] = []

    def meanwhile(seconds: float) -> None:
        """A server stores what it had sealed before it noticed the new key."""
        waited.append(seconds)
        with place.regions[0].database.writing() as connection:
            repository.insert(connection, new_job("late000001", config=Fernet(old).encrypt(b"late")))

    count = place.drop_old(meanwhile)
    assert 0 < waited[0] <= key_rotation.SETTLED
    assert count.changed == 1
    assert read_keys(place.path) == [new]
    assert opened(place.configs(), new) == sorted([*PLAIN, b"late"])
    assert place.running.decrypt(place.configs()["late000001"]) == b"late"
    with pytest.raises(ValueError, match="encrypted with"):
        place.running.decrypt(Fernet(old).encrypt(b"x"))


def test_nobody_waits_for_a_key_that_has_settled(place: Place) -> None:
    place.rotate()
    past = time.time() - key_rotation.SETTLED - 1
    os.utime(place.path, (past, past))
    waited: list[float] = []
    place.drop_old(waited.append)
    assert waited == [0.0]


def test_without_an_old_key_there_is_nothing_to_drop(place: Place) -> None:
    keys = read_keys(place.path)
    assert place.drop_old() == Count()
    assert read_keys(place.path) == keys


def test_two_rotations_at_once_are_one_too_many(place: Place) -> None:
    with key_rotation._alone(place.path), pytest.raises(Busy):
        place.rotate()
    assert len(read_keys(place.path)) == 1


def test_what_changed_meanwhile_is_left_as_it_is(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is deleted between the look and the write keeps its tombstone."""
    rows = key_rotation._rows

    def then_deleted(*arguments: Any) -> Any:
        found = rows(*arguments)
        if arguments[1] is t.jobs.c.id and arguments[0] is place.regions[0].database:
            with place.regions[0].database.writing() as connection:
                repository.make_tombstone(connection, "job0000003", Event.REMOVED)
        return found

    monkeypatch.setattr(key_rotation, "_rows", then_deleted)
    place.rotate()
    assert "job0000003" not in place.configs()
    assert len(place.configs()) == 4


def test_what_no_key_opens_is_counted_and_left(place: Place) -> None:
    lost = Fernet(Fernet.generate_key()).encrypt(b"x")
    with place.regions[0].database.writing() as connection:
        connection.execute(sa.update(t.jobs).where(t.jobs.c.id == "job0000000").values(config=lost))
    count = place.rotate()
    assert (count.checked, count.changed, count.closed) == (10, 9, 1)
    assert place.configs()["job0000000"] == lost


def test_an_accepted_loss_stays_accepted(place: Place) -> None:
    """`serve --begin-anew secrets-key` has recorded the key with which the operator accepts that older values are lost."""
    database = place.regions[0].database
    with database.writing() as connection:
        assert not key_check.is_accepted(connection, Encryptor(read_keys(place.path)))
        key_check.accept(connection, Encryptor(read_keys(place.path)))
    place.rotate()
    key_rotation.drop_old(place.path, place.control, place.regions, pause=lambda _: None)
    with database.reading() as connection:
        assert key_check.is_accepted(connection, Encryptor(read_keys(place.path)))


def test_every_column_of_bytes_is_sealed_again(place: Place) -> None:
    names = {(column.table.name, column.name) for column in key_check.SEALED}
    assert ("jobs", "config") in names
    for table in t.region.tables.values():
        for column in table.columns:
            assert ((table.name, column.name) in names) is isinstance(column.type, sa.LargeBinary)


def test_the_audit_log_tells(place: Place) -> None:
    place.rotate()
    place.drop_old()
    with place.control.reading() as connection:
        told = [(recorded.entry.actor, recorded.entry.action) for recorded in audit_log.latest(connection, 9)]
    assert told == [("operator", "old encryption keys dropped"), ("operator", "encryption key added")]
