"""Retention over days that pass in the database: what is over goes, whole, and nothing else."""

import asyncio
import errno
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sottovoce.job import Event, Reason, State
from sottovoce.service.jobs import repository
from sottovoce.service.jobs.deletion import JobDeletion
from sottovoce.service.metrics import Metrics
from sottovoce.service.queue.dbos_queue import DbosQueue
from sottovoce.service.queue.port import TaskKind
from sottovoce.service.retention import policy as retention_policy
from sottovoce.service.retention.orphan_sweeper import Sweeper
from sottovoce.service.retention.policy import RetentionPolicy
from sottovoce.service.retention.sweep import SWEEP, THOROUGH_SWEEP, Retention, SweepResult
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blob_keys import media_key, result_key
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import DAY_MS, Database, now_ms
from tests.log_records import warnings
from tests.unit.service.service_values import FakeQueue, migrated, new_job

INSTANTS = {
    "jobs": ("created_at", "started_at", "finished_at", "delete_at", "removed_at", "read_at", "cleaned_at"),
    "deliveries": ("created_at", "ended_at"),
    "job_events": ("at",),
}
MARKER = "xylophone-marmalade"


@dataclass
class House:
    """A region whose time the test makes pass."""

    database: Database
    blobs: Blobs
    queue: DbosQueue
    folder: Path
    policy: RetentionPolicy = field(default_factory=RetentionPolicy)

    def retention(self, **changes: Any) -> Retention:
        parts: dict[str, Any] = {
            "database": self.database,
            "blobs": self.blobs,
            "queue": self.queue,
            "deletion": JobDeletion(self.database, self.blobs, self.queue),
            "sweeper": Sweeper(self.database, self.blobs),
            "metrics": Metrics(),
            "policy": self.policy,
            **changes,
        }
        return Retention(**parts)

    def sweep(self, **changes: Any) -> SweepResult:
        return asyncio.run(self.retention(**changes).sweep())

    def days_pass(self, days: float) -> None:
        """Everything that has an instant is that much older."""
        with self.database.writing() as connection:
            for table, columns in INSTANTS.items():
                for name in columns:
                    column = t.region.tables[table].c[name]
                    connection.execute(sa.update(t.region.tables[table]).values({name: column - round(days * DAY_MS)}))

    def accept(self, job_id: str, **changes: Any) -> None:
        with self.database.writing() as connection:
            repository.insert(connection, new_job(job_id, data_name=f"{MARKER}.wav", **changes))
        asyncio.run(self.blobs.put(media_key(job_id), MARKER.encode()))

    def done(self, job_id: str, reason: Reason | None = None, **changes: Any) -> None:
        """A job that has just ended."""
        self.accept(job_id, **changes)
        with self.database.writing() as connection:
            assert repository.claim(connection, job_id, owner="one", lease_ms=60_000)
            keep_ms = self.policy.keep_ms
            if reason is None:
                key = result_key(job_id, 1)
                assert repository.finish(
                    connection, job_id, 1, result_key=key, duration_ms=1, engine="e", keep_ms=keep_ms
                )
            else:
                assert repository.fail(connection, job_id, 1, reason=reason, message=MARKER, keep_ms=keep_ms)
        asyncio.run(self.blobs.put(result_key(job_id, 1), MARKER.encode()))

    def delivery(self, job_id: str, state: str) -> None:
        with self.database.writing() as connection:
            connection.execute(
                sa.insert(t.deliveries).values(
                    id=secrets.token_hex(8), job_id=job_id, kind="notification", number=0, status="success",
                    target=b"", place="", state=state, attempts=1, tries=1, created_at=now_ms(), ended_at=now_ms(),
                )
            )  # fmt: skip

    def state(self, job_id: str) -> State | None:
        with self.database.reading() as connection:
            found = repository.get(connection, job_id)
        return found.state if found else None

    def keys(self, job_id: str) -> list[str]:
        return asyncio.run(self.blobs.keys(f"jobs/{job_id}/"))

    def is_whole(self, job_id: str) -> bool:
        return self.state(job_id) is State.DONE and set(self.keys(job_id)) == {media_key(job_id), result_key(job_id, 1)}

    def is_gone(self, job_id: str) -> bool:
        return self.state(job_id) in {None, State.EXPIRED, State.DELETED} and self.keys(job_id) == []


@pytest.fixture(params=["sqlite", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            database = stack.enter_context(migrated(tmp_path))
        else:
            postgres, _ = request.getfixturevalue("backends")
            made = postgres.create_migrated(f"retention_{secrets.token_hex(6)}")
            database = Database(made["SOTTOVOCE_DATABASE_URL"])
            stack.callback(database.close)
        queue = DbosQueue(database)
        stack.callback(queue.close)
        yield House(database, Blobs.open(f"file://{tmp_path}/blobs", {}), queue, tmp_path)


def test_a_job_is_kept_for_a_week_and_known_for_a_month(house: House) -> None:
    """One job a day for eight days; each evening those that are a week old go, and no other."""
    for day in range(8):
        house.done(f"job000000{day}")
        house.days_pass(1)
        house.sweep()
        kept = [number for number in range(day + 1) if house.is_whole(f"job000000{number}")]
        assert kept == list(range(max(0, day - 5), day + 1))
        assert all(house.is_gone(f"job000000{number}") for number in range(max(0, day - 5)))
    house.days_pass(29.9)
    house.sweep()
    assert house.state("job0000000") is None or house.state("job0000000") is State.EXPIRED
    assert house.state("job0000001") is State.EXPIRED  # 410
    house.days_pass(60)
    house.sweep()
    assert {house.state(f"job000000{number}") for number in range(2)} == {None}  # 404


def test_a_rejected_job_goes_like_any_other(house: House) -> None:
    house.done("job0000001", Reason.ENGINE)
    house.days_pass(6.9)
    assert house.sweep().expired == 0
    house.days_pass(0.2)
    assert house.sweep().expired == 1
    assert house.is_gone("job0000001")


def test_a_job_may_be_kept_for_less(house: House) -> None:
    house.done("job0000001", keep_ms=DAY_MS)
    house.done("job0000002")
    house.days_pass(1.1)
    house.sweep()
    assert house.is_gone("job0000001")
    assert house.is_whole("job0000002")


def test_work_under_way_is_left_alone_until_nobody_can_mean_it(house: House) -> None:
    house.accept("queued0001")
    house.accept("running001")
    with house.database.writing() as connection:
        assert repository.claim(connection, "running001", owner="one", lease_ms=60_000)
    house.days_pass(13.9)
    house.sweep()
    assert (house.state("queued0001"), house.state("running001")) == (State.QUEUED, State.RUNNING)
    house.days_pass(0.2)
    house.sweep()
    assert house.is_gone("queued0001")
    assert house.is_gone("running001")


# ── kept until it was delivered ──


@pytest.mark.parametrize("states", [["waiting"], ["delivered", "waiting"]])
def test_what_is_still_to_be_delivered_stays(house: House, states: list[str]) -> None:
    house.done("job0000001", keep_ms=0)
    for state in states:
        house.delivery("job0000001", state)
    house.days_pass(0.1)
    house.sweep()
    assert house.is_whole("job0000001")


@pytest.mark.parametrize("states", [["delivered"], ["failed"], ["delivered", "failed"]])
def test_what_was_delivered_goes(house: House, states: list[str]) -> None:
    house.done("job0000001", keep_ms=0)
    for state in states:
        house.delivery("job0000001", state)
    house.sweep()
    assert house.is_gone("job0000001")


def test_what_nobody_is_told_of_goes_once_it_was_fetched(house: House) -> None:
    house.done("job0000001", keep_ms=0)
    house.days_pass(1)
    house.sweep()
    assert house.is_whole("job0000001")
    with house.database.writing() as connection:
        repository.mark_read(connection, "job0000001")
    house.sweep()
    assert house.is_whole("job0000001")  # the answer may have got lost on its way
    house.days_pass(0.01)
    house.sweep()
    assert house.is_gone("job0000001")


def test_what_nobody_ever_fetches_goes_after_a_week(house: House) -> None:
    house.done("job0000001", keep_ms=0)
    house.days_pass(7.1)
    house.sweep()
    assert house.is_gone("job0000001")


def test_a_region_may_keep_everything_until_it_was_delivered_only(house: House) -> None:
    house.policy = RetentionPolicy(keep_ms=0)
    house.done("job0000001")
    house.delivery("job0000001", "delivered")
    house.done("job0000002")
    house.sweep()
    assert house.is_gone("job0000001")
    assert house.is_whole("job0000002")


# ── gone means gone ──


def test_nothing_is_left_of_what_is_gone(house: House) -> None:
    config = json.dumps({"tracking": {"title": MARKER}}).encode()
    house.done("job0000001", config=config, legacy=MARKER.encode())
    with house.database.writing() as connection:
        repository.append_log(connection, "job0000001", stage="media", text=MARKER)
    house.delivery("job0000001", "failed")
    assert found_in(house)
    house.days_pass(8)
    house.sweep()
    assert found_in(house) == []


def test_nothing_is_left_of_what_was_deleted(house: House) -> None:
    house.done("job0000001", config=MARKER.encode(), legacy=MARKER.encode())
    deletion = JobDeletion(house.database, house.blobs, house.queue)
    assert asyncio.run(deletion.delete("job0000001", force=False))
    house.sweep(deletion=deletion)
    assert found_in(house) == []


def found_in(house: House) -> list[str]:
    """Where the marker stands: files of the folder, and rows of every table."""
    places = []
    for place, _, names in os.walk(house.folder):
        places += [name for name in names if MARKER in name or MARKER.encode() in Path(place, name).read_bytes()]
    with house.database.reading() as connection:
        tables = sa.inspect(connection).get_table_names()
        for table in tables:
            rows = connection.exec_driver_sql(f'SELECT * FROM "{table}"').all()  # noqa: S608 - its own names
            if MARKER in repr([tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows]):
                places.append(table)
    return places


def test_the_queue_forgets_what_has_ended(house: House) -> None:
    with house.database.writing() as connection:
        house.queue.submit(connection, "job0000001", queue="batch", account="1", priority=1)
        house.queue.submit(connection, "job0000002", queue="batch", account="1", priority=1)
    house.queue.cancel("job0000001")
    house.sweep()
    assert set(house.queue.states(["job0000001", "job0000002"])) == {"job0000001", "job0000002"}
    with house.database.writing() as connection:
        schema = "" if house.database.embedded else "dbos."
        connection.exec_driver_sql(
            f"UPDATE {schema}workflow_status SET completed_at = 1000 WHERE workflow_uuid = 'job0000001'"  # noqa: S608
        )
    house.sweep()
    assert set(house.queue.states(["job0000001", "job0000002"])) == {"job0000002"}


# ── interrupted ──


class Stopped(BaseException):
    """As if the process had been killed."""


def test_a_tombstone_whose_bytes_were_left_is_gone_on_with(house: House) -> None:
    house.done("job0000001")
    house.days_pass(8)

    class Dies(JobDeletion):
        async def delete_blobs(self, *_: Any) -> None:
            raise Stopped

    with pytest.raises(Stopped):
        house.sweep(deletion=Dies(house.database, house.blobs, house.queue))
    assert house.state("job0000001") is State.EXPIRED
    assert house.keys("job0000001") != []
    house.days_pass(0.01)
    assert house.sweep().cleaned == 1
    assert house.is_gone("job0000001")


def test_a_tombstone_with_something_left_is_not_forgotten(house: House) -> None:
    house.done("job0000001")
    with house.database.writing() as connection:
        assert repository.make_tombstone(connection, "job0000001", Event.EXPIRED_BY_RETENTION)
        assert retention_policy.delete_old_tombstones(connection, replace(house.policy, tombstone_ms=0), 10) == 0
        repository.mark_cleaned(connection, ["job0000001"])
        assert retention_policy.delete_old_tombstones(connection, replace(house.policy, tombstone_ms=0), 10) == 1


def test_a_failure_of_one_sweep_is_no_end(house: House, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Sweeper):
        async def sweep(self) -> int:
            raise trouble.pop()

    trouble = [TypeError("a bug"), OSError(errno.EIO, "no disk")]
    sweeps = house.retention(sweeper=Broken(house.database, house.blobs))
    asyncio.run(sweeps.attempt(THOROUGH_SWEEP, 1))
    asyncio.run(sweeps.attempt(THOROUGH_SWEEP, 2))
    assert warnings(caplog) == ["retention sweep postponed", "retention sweep failed"]


def test_one_job_that_cannot_be_removed_stops_no_other(house: House, caplog: pytest.LogCaptureFixture) -> None:
    for job_id in ("bad0000001", "good000001"):
        house.done(job_id)
    house.days_pass(8)

    class Broken(JobDeletion):
        async def delete_blobs(self, ids: Sequence[str], entries: Sequence[str]) -> None:
            if "bad0000001" in ids:
                raise TypeError("a bug")
            await super().delete_blobs(ids, entries)

    broken = Broken(house.database, house.blobs, house.queue)
    house.sweep(deletion=broken)
    house.days_pass(0.01)
    house.sweep(deletion=broken)
    assert house.is_gone("good000001")
    assert {record.getMessage() for record in caplog.records if record.exc_info} == {"job not removed"}


def test_a_job_of_a_later_release_expires_too(house: House) -> None:
    house.done("newer00001")
    with house.database.writing() as connection:
        connection.execute(sa.update(t.jobs).values(errors=[{"a later": "form"}]))
    house.days_pass(8)
    assert house.sweep().expired == 1
    assert house.is_gone("newer00001")


def test_two_sweeps_at_once_remove_each_job_once(house: House) -> None:
    for number in range(30):
        house.done(f"job00000{number:02}")
    house.days_pass(8)

    async def both() -> tuple[SweepResult, SweepResult]:
        return await asyncio.gather(house.retention().sweep(), house.retention().sweep())

    first, second = asyncio.run(both())
    assert first.expired + second.expired == 30
    assert all(house.is_gone(f"job00000{number:02}") for number in range(30))


def test_a_job_that_was_deleted_meanwhile_is_nobody_elses(house: House) -> None:
    house.done("job0000001")
    deletion = JobDeletion(house.database, house.blobs, house.queue)
    assert asyncio.run(deletion.delete("job0000001", force=False))
    assert asyncio.run(deletion.remove(["job0000001", "n0suchj0b0"], Event.EXPIRED_BY_RETENTION)) == []
    assert house.state("job0000001") is State.DELETED


# ── temporary files ──


def test_old_temporary_files_of_nobodys_jobs_go(house: House) -> None:
    house.accept("alive00001")
    scratch = house.folder / "tmp"
    for name in ("alive00001-1", "dead000001-1", "fresh00001-1"):
        (scratch / name).mkdir(parents=True)
        (scratch / name / "media").write_bytes(b"x")
        if not name.startswith("fresh"):
            os.utime(scratch / name, (time.time() - 100_000,) * 2)
    assert house.sweep(scratch=scratch).orphans == 1
    assert sorted(path.name for path in scratch.iterdir()) == ["alive00001-1", "fresh00001-1"]
    shutil.rmtree(scratch)


# ── once, however many workers ──


def test_a_sweep_is_asked_for_once_in_its_time(house: House) -> None:
    async def ask() -> None:
        for _ in range(3):
            await house.retention().enqueue(SWEEP, 1e6)

    asyncio.run(ask())
    found = house.queue._client.list_workflows(name=TaskKind.RETENTION.value)
    assert len(found) == 1


def test_each_stretch_of_time_has_its_sweep(house: House) -> None:
    queue = FakeQueue()

    async def ask() -> None:
        for _ in range(3):
            await house.retention(queue=queue).enqueue(SWEEP, 0.001)
            await asyncio.sleep(0.01)

    asyncio.run(ask())
    assert len({number for _, _, number, _ in queue.sent}) == 3


def test_the_report_counts_what_there_is(house: House) -> None:
    house.done("job0000001")
    house.done("job0000002", keep_ms=60_000)
    house.accept("job0000003")
    house.days_pass(0.01)
    with house.database.reading() as connection:
        seen = retention_policy.report(connection, house.policy)
    assert (seen.kept, seen.due, seen.due_in_a_day, seen.stuck, seen.tombstones) == (3, 1, 1, 0, 0)
    house.sweep()
    with house.database.reading() as connection:
        seen = retention_policy.report(connection, house.policy)
    assert (seen.kept, seen.kept_bytes, seen.due, seen.tombstones, seen.uncleaned) == (2, 20, 0, 1, 0)
