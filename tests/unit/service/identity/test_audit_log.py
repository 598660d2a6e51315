import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sottovoce.service.identity import audit_log
from sottovoce.service.identity.audit_log import Entry
from sottovoce.service.storage import migrate
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database
from tests.unit.service.service_values import migrated

ENTRY = Entry(actor="0123456789abcdef", action="key created", target="k2", workspace_id=1, details={"project": 3})


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path, migrate.CONTROL) as made:
        yield made


def entries(control: Database) -> list[Entry]:
    with control.reading() as connection:
        return [recorded.entry for recorded in audit_log.latest(connection, 100)]


def test_entries_come_back_newest_first_with_their_time(control: Database) -> None:
    second = Entry(actor=audit_log.OPERATOR, action="key revoked", target="k2")
    with control.writing() as connection:
        audit_log.record(connection, ENTRY)
        audit_log.record(connection, second)
        (newest,) = audit_log.latest(connection, 1)
    assert newest.entry == second
    assert entries(control) == [second, ENTRY]
    assert newest.at > 1_700_000_000_000


def test_an_entry_goes_with_what_it_tells_of(control: Database) -> None:
    def fail(connection: sa.Connection) -> None:
        audit_log.record(connection, ENTRY)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(control.write(fail))
    assert entries(control) == []


def test_what_is_very_old_goes(control: Database) -> None:
    with control.writing() as connection:
        audit_log.record(connection, ENTRY)
        day = 86_400_000
        connection.execute(sa.update(t.audit_log).values(at=t.audit_log.c.at - audit_log.KEEP_DAYS * day + day))
        audit_log.record(connection, ENTRY)
        assert len(audit_log.latest(connection, 9)) == 2
        connection.execute(sa.update(t.audit_log).values(at=t.audit_log.c.at - 2 * day))
        audit_log.record(connection, ENTRY)
        assert len(audit_log.latest(connection, 9)) == 2


def test_an_entry_is_told_in_one_line(control: Database, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    asyncio.run(audit_log.note(control, ENTRY))
    (record,) = (record for record in caplog.records if record.name == "sottovoce.audit")
    assert (record.name, record.getMessage()) == ("sottovoce.audit", "key created")
    told = record.__dict__
    assert (told["by"], told["target"], told["workspace"], told["project"]) == ("0123456789abcdef", "k2", 1, 3)
    assert entries(control) == [ENTRY]


def test_what_cannot_be_kept_is_told_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    away = Database(f"sqlite:///{tmp_path}/nowhere/control.db")
    asyncio.run(audit_log.note(away, ENTRY))
    away.close()
    told = [record.getMessage() for record in caplog.records if record.name in {"sottovoce.audit", audit_log.__name__}]
    assert told == ["key created", "audit entry not stored"]
