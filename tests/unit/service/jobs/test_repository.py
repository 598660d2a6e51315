# ruff: noqa: PT012 - a transaction that is left by an error
import asyncio
import itertools
import secrets
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sottovoce import job
from sottovoce.job import Event, Reason, State
from sottovoce.service.jobs import batched_reader, model, repository
from sottovoce.service.jobs.batched_reader import JobDataLoader
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import DAY_MS, Database, now_ms
from tests.unit.service.service_values import CALLER, migrated, new_job

ID = "job0000001"
FINISH: dict[str, Any] = {"result_key": "jobs/x/1/transcript", "duration_ms": 5, "engine": "e", "keep_ms": 1000}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path) as made:
        yield made


def add(database: Database, job_id: str = ID, **changes: object) -> None:
    with database.writing() as connection:
        repository.insert(connection, new_job(job_id, **changes))


def look(database: Database, job_id: str = ID) -> model.Job:
    with database.reading() as connection:
        found = repository.get(connection, job_id)
    assert found
    return found


def in_state(database: Database, state: State, job_id: str = ID) -> int:
    """A job in *state*, on its honest way; its attempt."""
    add(database, job_id)
    with database.writing() as connection:
        attempt = 0
        if state in {State.RUNNING, State.DONE, State.REJECTED}:
            claimed = repository.claim(connection, job_id, owner="w", lease_ms=1000)
            assert claimed
            attempt = claimed.attempt
        if state is State.DONE:
            assert repository.finish(connection, job_id, attempt, **FINISH)
        if state is State.REJECTED:
            assert repository.fail(connection, job_id, attempt, reason=Reason.ENGINE, message="why", keep_ms=1)
        if state in job.REMOVED:
            assert repository.make_tombstone(
                connection, job_id, Event.REMOVED if state is State.DELETED else Event.EXPIRED_BY_RETENTION
            )
    assert look(database, job_id).state is state
    return attempt


def test_ids_are_ten_lower_case_letters_and_digits() -> None:
    ids = {model.new_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert all(len(each) == 10 for each in ids)
    assert set("".join(ids)) == set(string.ascii_lowercase + string.digits)


def test_a_new_job_is_queued_and_noted(database: Database) -> None:
    add(database)
    found = look(database)
    assert (found.state, found.attempt, found.failures, found.progress) == (State.QUEUED, 0, 0, 0.0)
    assert (found.config, found.data_name, found.errors) == (b"sealed", "talk.wav", ())
    assert found.started_at is found.finished_at is found.delete_at is None
    with database.reading() as connection:
        assert [line.stage for line in repository.log_lines(connection, ID)] == ["accepted"]


def test_v1_ids_grow_tell_their_region_and_are_never_reused(database: Database) -> None:
    add(database, "a")
    add(database, "b", region_number=42)
    with database.writing() as connection:
        connection.execute(sa.delete(t.jobs))
    add(database, "c")
    with database.reading() as connection:
        assert [entry.v1_id for entry in repository.list_recent(connection, CALLER, limit=9)] == [301]


def test_a_rolled_back_job_leaves_nothing(database: Database) -> None:
    with pytest.raises(KeyError), database.writing() as connection:
        repository.insert(connection, new_job())
        raise KeyError
    with database.reading() as connection:
        assert repository.get(connection, ID) is None
        assert repository.log_lines(connection, ID) == []
    add(database, "b")
    assert look(database, "b").v1_id == 101


def test_an_idempotency_key_is_one_projects(database: Database) -> None:
    add(database, "a", idempotency_key="k", idempotency_digest="d")
    with pytest.raises(sa.exc.IntegrityError):
        add(database, "b", idempotency_key="k")
    other = replace(CALLER, project_id=2)
    add(database, "c", caller=other, idempotency_key="k")
    with database.reading() as connection:
        mine, others = (repository.by_idempotency_key(connection, caller, "k") for caller in (CALLER, other))
        assert repository.by_idempotency_key(connection, CALLER, "no") is None
    assert mine
    assert others
    assert (mine.id, mine.idempotency_digest, others.id) == ("a", "d", "c")
    add(database, "d")
    add(database, "e")  # none is not a key


def _do(connection: sa.Connection, event: Event, attempt: int) -> bool:
    match event:
        case Event.CLAIMED:
            return repository.claim(connection, ID, owner="w", lease_ms=1000) is not None
        case Event.FINISHED:
            return repository.finish(connection, ID, attempt, **FINISH)
        case Event.FAILED:
            return repository.fail(connection, ID, attempt, reason=Reason.ENGINE, message="m", keep_ms=1)
        case Event.RETRIED:
            return repository.retry(connection, ID) is not None
        case _:
            return repository.make_tombstone(connection, ID, event)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_the_statements_obey_the_state_table(database: Database, state: State, event: Event) -> None:
    attempt = in_state(database, state)
    before = look(database)
    with database.writing() as connection:
        moved = _do(connection, event, attempt)
    after = look(database)
    allowed = (state, event) in job.TRANSITIONS
    if event is Event.FAILED and state is State.QUEUED:
        allowed = False  # the statement is for the attempt that holds the job
    assert moved is allowed
    assert after.state is (job.TRANSITIONS[state, event] if allowed else state)
    assert allowed or after == before


def test_a_claim_is_a_new_attempt_with_a_lease(database: Database) -> None:
    add(database)
    with database.writing() as connection:
        first = repository.claim(connection, ID, owner="one", lease_ms=60_000)
        second = repository.claim(connection, ID, owner="two", lease_ms=90_000)
        row = connection.execute(sa.select(t.jobs.c.lease_owner, t.jobs.c.lease_until - now_ms())).one()
    assert first
    assert second
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.started_at == second.started_at != None  # noqa: E711 - it began once
    assert row[0] == "two"
    assert 80_000 < row[1] <= 90_000


def test_a_claim_after_ones_own_attempt_steals_from_nobody(database: Database) -> None:
    add(database)
    with database.writing() as connection:
        first = repository.claim(connection, ID, owner="one", lease_ms=1)
        assert first
        again = repository.claim(connection, ID, owner="one", lease_ms=1, after=first.attempt)
        assert again
        assert again.attempt == 2
        assert repository.claim(connection, ID, owner="late", lease_ms=1, after=first.attempt) is None
    assert look(database).attempt == 2


def test_a_retried_job_begins_anew_and_keeps_its_fence(database: Database) -> None:
    in_state(database, State.REJECTED)
    with database.writing() as connection:
        retried = repository.retry(connection, ID)
    assert retried
    assert (retried.state, retried.attempt, retried.failures, retried.errors) == (State.QUEUED, 1, 0, ())
    assert (retried.reason, retried.finished_at, retried.delete_at) == (None, None, None)
    assert retried.config == b"sealed"


def test_only_the_current_attempt_can_do_anything(database: Database) -> None:
    add(database)
    with database.writing() as connection:
        for _ in range(2):
            repository.claim(connection, ID, owner="w", lease_ms=1000)
    before = look(database)
    for old in (0, 1, 3):
        with database.writing() as connection:
            assert not repository.renew(connection, ID, old, lease_ms=1, progress=0.5, duration_ms=1)
            assert not repository.finish(connection, ID, old, **FINISH)
            assert not repository.fail(connection, ID, old, reason=Reason.ENGINE, message="m", keep_ms=1)
            assert repository.count_failure(connection, ID, old) is None
        assert look(database) == before
    with database.writing() as connection:
        assert repository.renew(connection, ID, 2, lease_ms=1, progress=0.5, duration_ms=7)
        assert repository.count_failure(connection, ID, 2) == 1
        assert repository.count_failure(connection, ID, 2) == 2
        assert repository.finish(connection, ID, 2, **FINISH)
        assert not repository.finish(connection, ID, 2, **FINISH)
        assert not repository.fail(connection, ID, 2, reason=Reason.ENGINE, message="m", keep_ms=1)
    found = look(database)
    assert (found.state, found.result_key, found.progress, found.failures) == (State.DONE, FINISH["result_key"], 1.0, 2)


def test_finish_sets_when_to_forget_and_gives_the_lease_back(database: Database) -> None:
    in_state(database, State.DONE)
    found = look(database)
    assert found.finished_at
    assert found.delete_at
    assert 1000 <= found.delete_at - found.finished_at <= 1005
    with database.reading() as connection:
        assert connection.execute(sa.select(t.jobs.c.lease_owner, t.jobs.c.lease_until)).one() == (None, None)


def test_a_rejection_tells_its_owner(database: Database) -> None:
    in_state(database, State.REJECTED)
    found = look(database)
    assert (found.reason, [error.message for error in found.errors]) == (Reason.ENGINE, ["why"])
    assert found.errors[0].timestamp == pytest.approx(found.finished_at, abs=1000)
    with database.writing() as connection:
        assert not repository.fail(connection, "no such", 1, reason=Reason.ENGINE, message="m", keep_ms=1)


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.DONE, State.REJECTED])
@pytest.mark.parametrize("event", [Event.REMOVED, Event.EXPIRED_BY_RETENTION])
def test_a_tombstone_holds_no_name_and_no_text(database: Database, state: State, event: Event) -> None:
    attempt = in_state(database, state)
    with database.writing() as connection:
        assert repository.make_tombstone(connection, ID, event)
        assert not repository.make_tombstone(connection, ID, event)
    found = look(database)
    assert (found.config, found.data_name, found.text_name, found.result_key, found.errors) == (
        None,
        "",
        None,
        None,
        (),
    )
    assert found.removed_at
    assert found.attempt == attempt + 1  # whoever is at work is fenced out
    with database.reading() as connection:
        assert repository.log_lines(connection, ID) == []
        assert b"talk.wav" not in repr(connection.execute(sa.select(t.jobs)).one()).encode()


def test_keys_see_their_project_and_their_reference_only(database: Database) -> None:
    mine, bound = CALLER, replace(CALLER, client_ref="shop")
    stranger = replace(CALLER, project_id=2, workspace_id=2)
    add(database, "a", caller=bound)
    add(database, "b", caller=mine)
    with database.reading() as connection:
        for caller, seen in (
            (mine, {"a", "b"}),
            (bound, {"a"}),
            (replace(bound, client_ref="x"), set()),
            (stranger, set()),
        ):
            assert {each.id for each in repository.list_recent(connection, caller, limit=9)} == seen
            found = repository.get_many(connection, ["a", "b", "c"])
            assert set(found) == {"a", "b"}
            assert {each for each, one in found.items() if repository.may_see(caller, one)} == seen


def test_paging_by_creation_meets_every_job_once(database: Database) -> None:
    for number in range(12):
        add(database, f"j{number}")
    seen: list[str] = []
    before = None
    with database.reading() as connection:
        while page := repository.list_recent(connection, CALLER, limit=5, before=before):
            seen += [entry.id for entry in page]
            before = page[-1].created_at
        middle = repository.get(connection, "j5")
        assert middle
        later = repository.list_recent(connection, CALLER, limit=99, after=middle.created_at)
        recent = repository.list_recent(connection, CALLER, limit=99, days=1.0)
    assert seen == [f"j{number}" for number in reversed(range(12))]
    assert {entry.id for entry in later} == {f"j{number}" for number in range(6, 12)}
    assert len(recent) == 12


@pytest.mark.parametrize(("limit", "first"), [(None, 0), (100, 0), (12, 0), (5, 7), (1, 11), (0, 12)])
def test_a_span_is_read_in_pages_oldest_first(database: Database, limit: int | None, first: int) -> None:
    for number in range(12):
        add(database, f"j{number}")
    add(database, "other", caller=replace(CALLER, project_id=2, workspace_id=2))
    seen: list[str] = []
    with database.reading() as connection:
        span = repository.newest_span(connection, CALLER, limit=limit, since=None, before=None)
        while span is not None:
            page = repository.page(connection, CALLER, span, size=4)
            seen += [entry.id for entry in page]
            span = span.after(page[-1]) if page else None
    assert seen == [f"j{number}" for number in range(first, 12)]


def test_a_span_is_within_its_bounds_and_has_no_later_jobs(database: Database) -> None:
    for number in range(6):
        add(database, f"j{number}")
    with database.reading() as connection:
        at = [repository.get_many(connection, [f"j{number}"])[f"j{number}"].created_at for number in range(6)]
        span = repository.newest_span(connection, CALLER, limit=None, since=at[2], before=at[5])
    add(database, "later")
    with database.reading() as connection:
        assert span
        assert [entry.id for entry in repository.page(connection, CALLER, span, size=9)] == ["j2", "j3", "j4"]
        assert repository.newest_span(connection, CALLER, limit=None, since=at[5] + 10**9, before=None) is None


def test_lists_leave_out_what_is_old_or_removed_unless_asked(database: Database) -> None:
    add(database, "old")
    add(database, "new")
    in_state(database, State.DELETED)
    with database.writing() as connection:
        connection.execute(sa.update(t.jobs).where(t.jobs.c.id == "old").values(created_at=now_ms() - 8 * DAY_MS))
    with database.reading() as connection:
        assert {entry.id for entry in repository.list_recent(connection, CALLER, limit=9)} == {"old", "new"}
        assert {entry.id for entry in repository.list_recent(connection, CALLER, limit=9, days=7.0)} == {"new"}
        assert len(repository.list_recent(connection, CALLER, limit=9, include_removed=True)) == 3


def test_notes_come_back_in_order_and_cut(database: Database) -> None:
    add(database)
    with database.writing() as connection:
        for number in range(3):
            repository.append_log(connection, ID, stage=f"s{number}", text="x" * 5000, level="WARNING", attempt=number)
    with database.reading() as connection:
        lines = repository.log_lines(connection, ID)
    assert [line.stage for line in lines] == ["accepted", "s0", "s1", "s2"]
    assert (lines[2].attempt, lines[2].level, len(lines[2].text)) == (1, "WARNING", 4000)
    assert [line.at for line in lines] == sorted(line.at for line in lines)


def test_a_job_that_is_looked_up_is_the_job_that_is_read(database: Database) -> None:
    add(database)
    add(database, "job0000002", config=secrets.token_bytes(repository.SMALL_CONFIG + 1))

    async def asked(loader: JobDataLoader) -> list[model.Job | None]:
        return [await loader.get(job_id) for job_id in (ID, "job0000002", "job0000003")]

    loader = JobDataLoader(database)
    with database.reading() as connection:
        read = repository.get_many(connection, (ID, "job0000002"))
    first = asyncio.run(asked(loader))
    assert first == [read[ID], read["job0000002"], None]
    assert first[1] is not None
    assert not first[1].whole
    with database.writing() as connection:
        claimed = repository.claim(connection, ID, owner="w", lease_ms=1000)
    assert claimed is not None
    again = asyncio.run(asked(loader))
    assert again[0] == look(database)
    assert again[0] != first[0]
    assert again[1] is first[1]  # its row did not change


def test_rows_are_remembered_within_bounds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched_reader, "REMEMBERED", 2)
    ids = [f"job000000{number}" for number in range(5)]
    for job_id in ids:
        add(database, job_id)

    async def asked() -> list[str]:
        loader = JobDataLoader(database)
        found = [await loader.get(job_id) for job_id in [*ids, *ids]]
        assert len(loader._decoded_rows) == 2
        return [each.id for each in found if each]

    assert asyncio.run(asked()) == [*ids, *ids]


def test_a_row_of_another_release_is_told_when_it_is_looked_up(database: Database) -> None:
    add(database)
    with database.writing() as connection:
        connection.execute(sa.update(t.jobs).values(state="of another release"))
    with pytest.raises(repository.RowUnreadable):
        asyncio.run(JobDataLoader(database).get(ID))


def test_counts_and_states(database: Database) -> None:
    in_state(database, State.DONE, "a")
    in_state(database, State.DONE, "b")
    in_state(database, State.DELETED, "c")
    with database.reading() as connection:
        assert repository.counts(connection) == {State.DONE: 2, State.DELETED: 1}
        assert repository.states(connection, ["a", "c", "zz"]) == {"a": State.DONE, "c": State.DELETED}
        assert repository.states(connection, []) == {}


def test_touch_writes_even_before_the_first_job(database: Database) -> None:
    with database.writing() as connection:
        before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
        repository.touch(connection)
        assert connection.exec_driver_sql("SELECT total_changes()").scalar_one() == before + 1
