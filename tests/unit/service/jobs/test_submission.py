# ruff: noqa: ASYNC110 - polling is what a test can do
import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from sottovoce.engines.protocols import Capabilities
from sottovoce.errors import EngineUnavailable, Kind, Refused
from sottovoce.inference import messages as m
from sottovoce.inference.pool import EngineTemporarilyUnavailable, Listener, Outcome, ProcessDied, Task, TaskCrashed
from sottovoce.job import Event
from sottovoce.outbound import Policy
from sottovoce.request import AlignmentRequest, Fetch, Notification, TranscriptionRequest
from sottovoce.service.billing.credit_holds import CreditReservations, Pricing
from sottovoce.service.context import RegionContext
from sottovoce.service.jobs import model, repository
from sottovoce.service.jobs import submission as module
from sottovoce.service.jobs.capabilities import CapabilityTable
from sottovoce.service.jobs.queue_estimate import QueueEstimator
from sottovoce.service.jobs.submission import JobSubmitter, RegionRef, Submission
from sottovoce.service.limits.quotas import Quota
from sottovoce.service.metrics import Metrics
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.notifications.send_policy import SendPolicy
from sottovoce.service.queue.port import TaskKind
from sottovoce.service.storage.blob_keys import media_key
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.wire.v1.form import unknown_fields
from sottovoce.wire.v2.unknown_members import parse_and_tell
from tests.servers import PATIENCE
from tests.unit.service.service_values import CALLER, CONFIG, FakePool, FakeQueue, Script, migrated, off_thread

ID = "job0000001"


class Queue(FakeQueue):
    """Obeys the port; what it was handed counts once the transaction is committed."""

    def __init__(self) -> None:
        super().__init__()
        self.handed: list[tuple[str, str, str]] = []
        self.before: Callable[[], None] = lambda: None

    def submit(self, connection: sa.Connection, job_id: str, *, queue: str, account: str, priority: int) -> None:
        assert connection.in_transaction()
        assert priority == 10
        self.before()
        self.handed.append((job_id, queue, account))

    def enqueue(
        self, connection: sa.Connection, task_kind: TaskKind, subject: str, attempt: int, *, delay: float = 0.0
    ) -> None:
        assert connection.in_transaction()
        self.before()
        self.sent.append((task_kind.value, subject, attempt, delay))


async def see(task: Task, listen: Listener) -> Outcome:
    await off_thread(listen, m.Media(duration=48_000, channels=1, rate=8000, codec="pcm", container="wav"))
    return Outcome(finished=m.Finished(), payload=b"")


class Desk:
    """An intake over a real database and blobs."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.blobs = Blobs.open(f"file://{folder}/blobs", {})
        self.queue = Queue()
        self.encryptor = Encryptor([Fernet.generate_key()])

    def submitter(self, script: Script = see) -> JobSubmitter:
        fake = Capabilities(engine="fake", model="small", languages=frozenset({"en"}))
        metrics = Metrics()
        return JobSubmitter(
            region=RegionContext(
                keep_ms=1000,
                database=self.database,
                blobs=self.blobs,
                encryptor=self.encryptor,
                queue=self.queue,
                metrics=metrics,
                disk=None,
                outbox=Outbox(self.encryptor, self.queue, SendPolicy().tries),
            ),
            place=RegionRef(region="eu1", number=1),
            pool=FakePool(script),  # type: ignore[arg-type]
            offers=CapabilityTable(engines=(fake,)),
            queue_estimator=QueueEstimator(self.database, metrics, lease_ms=10_000),
            quota=Quota(),
            target="batch",
            outbound=Policy(),
            credit_reservations=CreditReservations(
                self.database, "eu1", Pricing()
            ),  # nothing is billed, so nothing is asked
        )

    async def submission(self, job_id: str = ID, **changes: object) -> Submission:
        await self.blobs.put(media_key(job_id), b"media")
        made = Submission(
            job_id=job_id,
            caller=CALLER,
            api="v2",
            request=TranscriptionRequest(language="en"),
            config=CONFIG,
            data_name="talk.wav",
            media_key=media_key(job_id),
            media_bytes=5,
        )
        return replace(made, **changes)  # type: ignore[arg-type]

    def job(self, job_id: str = ID) -> model.Job | None:
        with self.database.reading() as connection:
            return repository.get(connection, job_id)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with migrated(tmp_path) as database:
        yield Desk(database, tmp_path)


def test_unknown_members_are_told_in_the_jobs_log(desk: Desk) -> None:
    async def go() -> None:
        config = b'{"type": "transcription", "transcription_config": {"language": "en", "diarisation": "speaker"}}'
        await desk.submitter().accept(await desk.submission(config=config, unknown=parse_and_tell(config)[1]))
        with desk.database.reading() as connection:
            lines = repository.log_lines(connection, ID)
        (told,) = [line for line in lines if line.level == "WARNING"]
        assert "'transcription_config.diarisation' is unknown" in told.text
        assert "'diarization'" in told.text

    asyncio.run(go())


def test_unknown_fields_of_v1_are_told_in_the_jobs_log(desk: Desk) -> None:
    async def go() -> None:
        unknown = tuple(unknown_fields(["model", "data_file", "diarization"]))
        await desk.submitter().accept(await desk.submission(legacy=b"{}", unknown=unknown))
        with desk.database.reading() as connection:
            lines = repository.log_lines(connection, ID)
        assert [line.text for line in lines if line.level == "WARNING"] == [
            "the form field 'diarization' is unknown and has no effect; the nearest known name is 'diarisation'"
        ]

    asyncio.run(go())


def test_an_accepted_job_is_durable_queued_and_sealed(desk: Desk) -> None:
    async def go() -> None:
        assert (await desk.submitter().accept(await desk.submission())).id == ID
        found = desk.job()
        assert found
        assert (found.duration_ms, found.media_bytes, found.data_name, found.v1_id) == (3000, 5, "talk.wav", 101)
        assert found.config
        assert b"transcription" not in found.config
        assert desk.encryptor.decrypt(found.config) == CONFIG
        assert desk.queue.handed == [(ID, "batch", "1")]
        assert await desk.blobs.keys("jobs/") == [media_key(ID)]

    asyncio.run(go())


def test_media_to_be_fetched_is_not_looked_at_and_no_recogniser_waits_for_it(desk: Desk) -> None:
    async def go() -> None:
        request = TranscriptionRequest(language="en", fetch_data=Fetch(url="https://e.org/a.wav"))
        submission = Submission(job_id=ID, caller=CALLER, api="v2", request=request, config=CONFIG)
        assert (await desk.submitter(refuse).accept(submission)).id == ID
        found = desk.job()
        assert found
        assert (found.data_name, found.media_bytes, found.duration_ms, found.fetch_attempts) == ("", 0, 0, 0)
        assert desk.queue.handed == []
        assert desk.queue.sent == [("fetch", ID, 1, 0.0)]

    asyncio.run(go())


@pytest.mark.parametrize(
    ("request_", "at"),
    [
        ({"fetch_data": Fetch(url="http://127.0.0.1/")}, "fetch_data.url"),
        ({"fetch_data": Fetch(url="https://e.org", auth_headers=("X: \u2028",))}, "fetch_data.auth_headers"),
        (
            {"notifications": (Notification(url="https://e.org"), Notification(url="http://[::1]/hush"))},
            "notification_config[1].url",
        ),
        ({"notifications": (Notification(url="https://e.org:22"),)}, "notification_config[0].url"),
        (
            {"notifications": (Notification(url="https://e.org", auth_headers=("Host: hush",)),)},
            "notification_config[0].auth_headers",
        ),
    ],
)
def test_addresses_and_headers_that_could_never_be_used_are_refused_by_name(
    desk: Desk, request_: dict[str, Any], at: str
) -> None:
    with pytest.raises(Refused) as refused:
        desk.submitter().check(TranscriptionRequest(language="en", **request_))
    assert (refused.value.kind, refused.value.at) == (Kind.INVALID_CONFIG, at)
    assert "hush" not in refused.value.detail


async def refuse(task: Task, listen: Listener) -> Outcome:
    raise Refused(Kind.INVALID_AUDIO, "no audio stream")


@pytest.mark.parametrize(
    ("changes", "script", "kind"),
    [
        ({}, refuse, Kind.INVALID_AUDIO),
        ({"request": TranscriptionRequest(language="xx")}, see, Kind.INVALID_CONFIG),
        ({"request": AlignmentRequest(language="en")}, see, Kind.INVALID_CONFIG),
    ],
)
def test_a_refused_submission_leaves_nothing(desk: Desk, changes: dict[str, Any], script: Script, kind: Kind) -> None:
    async def go() -> None:
        with pytest.raises(Refused) as refused:
            await desk.submitter(script).accept(await desk.submission(**changes))
        assert refused.value.kind is kind
        assert await desk.blobs.keys("jobs/") == []
        assert desk.job() is None

    asyncio.run(go())


@pytest.mark.parametrize(
    "trouble",
    [
        ProcessDied("x"),
        TaskCrashed("x"),
        EngineTemporarilyUnavailable("x"),
        EngineUnavailable("x", at=None),
        TimeoutError(),
    ],
)
def test_no_verdict_is_no_refusal(desk: Desk, trouble: Exception) -> None:
    async def fail(task: Task, listen: Listener) -> Outcome:
        raise trouble

    async def go() -> None:
        assert (await desk.submitter(fail).accept(await desk.submission())).id == ID

    asyncio.run(go())
    found = desk.job()
    assert found
    assert found.duration_ms == 0


def test_a_look_that_hangs_holds_nobody_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_TIMEOUT", 0.05)

    async def hang(task: Task, listen: Listener) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    async def go() -> None:
        assert (await desk.submitter(hang).accept(await desk.submission())).id == ID

    asyncio.run(go())


def test_the_same_idempotency_key_gives_the_same_job(desk: Desk) -> None:
    async def go() -> None:
        submitter = desk.submitter()
        assert (await submitter.accept(await desk.submission("a", idempotency_key="k"))).id == "a"
        assert (await submitter.accept(await desk.submission("b", idempotency_key="k"))).id == "a"
        with pytest.raises(Refused, match="another request") as refused:
            await submitter.accept(await desk.submission("c", idempotency_key="k", data_name="other.wav"))
        assert refused.value.at == "Idempotency-Key"
        assert await desk.blobs.keys("jobs/") == [media_key("a")]
        assert {job_id for job_id, _, _ in desk.queue.handed} == {"a"}

    asyncio.run(go())


def test_another_retention_is_another_request(desk: Desk) -> None:
    async def go() -> None:
        submitter = desk.submitter()
        await submitter.accept(await desk.submission("a", idempotency_key="k", keep_ms=1000))
        with pytest.raises(Refused, match="was used for another request before"):
            await submitter.accept(await desk.submission("b", idempotency_key="k", keep_ms=2000))

    asyncio.run(go())


def test_the_key_of_a_deleted_job_says_so(desk: Desk) -> None:
    async def go() -> None:
        submitter = desk.submitter()
        await submitter.accept(await desk.submission("a", idempotency_key="k"))
        with desk.database.writing() as connection:
            assert repository.make_tombstone(connection, "a", Event.REMOVED)
        with pytest.raises(Refused, match="its job a is deleted; use a new key"):
            await submitter.accept(await desk.submission("b", idempotency_key="k"))

    asyncio.run(go())


def test_many_with_one_idempotency_key_at_once_make_one_job(desk: Desk) -> None:
    async def go() -> None:
        submitter = desk.submitter()
        submissions = [await desk.submission(f"j{number}", idempotency_key="k") for number in range(8)]
        (winner,) = {made.id for made in await asyncio.gather(*map(submitter.accept, submissions))}
        assert await desk.blobs.keys("jobs/") == [media_key(winner)]

    asyncio.run(go())


def test_a_caller_cancelled_in_mid_commit_keeps_the_media_of_a_job_that_was_made(desk: Desk) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        go_on.wait(PATIENCE)

    async def go() -> None:
        desk.queue.before = wait
        task = asyncio.create_task(desk.submitter().accept(await desk.submission()))
        assert await asyncio.to_thread(reached.wait, PATIENCE)
        task.cancel()
        await asyncio.sleep(0.01)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(PATIENCE):
            while not desk.job():
                await asyncio.sleep(0.01)
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))
        assert await desk.blobs.keys("jobs/") == [media_key(ID)]

    asyncio.run(go())


def test_a_caller_cancelled_before_leaves_nothing(desk: Desk) -> None:
    looking = asyncio.Event()

    async def hang(task: Task, listen: Listener) -> Outcome:
        looking.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def go() -> None:
        task = asyncio.create_task(desk.submitter(hang).accept(await desk.submission()))
        await looking.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await desk.blobs.keys("jobs/") == []
        assert desk.job() is None

    asyncio.run(go())


def test_a_queue_that_fails_leaves_neither_row_nor_media(desk: Desk) -> None:
    def fail() -> None:
        raise sa.exc.OperationalError("x", None, Exception("away"))

    async def go() -> None:
        desk.queue.before = fail
        with pytest.raises(sa.exc.OperationalError):
            await desk.submitter().accept(await desk.submission())
        assert await desk.blobs.keys("jobs/") == []
        assert desk.job() is None

    asyncio.run(go())


def test_an_id_that_is_taken_harms_nobody(desk: Desk) -> None:
    async def go() -> None:
        submitter = desk.submitter()
        await submitter.accept(await desk.submission())
        with pytest.raises(RuntimeError, match="taken"):
            await submitter.accept(await desk.submission())
        assert await desk.blobs.keys("jobs/") == [media_key(ID)]
        assert desk.job()

    asyncio.run(go())
