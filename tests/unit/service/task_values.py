"""What the tests of deliveries and fetches share: a region with one job, ready to be ended, told of, or fetched for."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet

from sottovoce.job import Event, Reason
from sottovoce.outbound import Outbound
from sottovoce.service.context import RegionContext
from sottovoce.service.jobs import model, repository
from sottovoce.service.jobs.media_fetcher import Fetcher, FetchPolicy
from sottovoce.service.jobs.results import Results
from sottovoce.service.jobs.v1_view import V1ViewBuilder
from sottovoce.service.large_work import LargeWork
from sottovoce.service.limits.quotas import Disk
from sottovoce.service.metrics import Metrics
from sottovoce.service.notifications import repository as deliveries
from sottovoce.service.notifications.model import Delivery
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.notifications.send_policy import SendPolicy
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.blob_keys import media_key, result_key
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.service.worker.notification_payload import PayloadBuilder
from sottovoce.service.worker.notification_sender import Sender
from sottovoce.transcript import codec
from sottovoce.transcript.model import Transcript
from tests.unit.outbound.receivers import opened
from tests.unit.service.service_values import FakeQueue, migrated, new_job
from tests.unit.transcript.transcript_values import said

ID = "job0000001"
MEDIA = b"RIFF" + bytes(range(256)) * 40
CONFIG: dict[str, Any] = {"type": "transcription", "transcription_config": {"language": "en"}}
TRANSCRIPT = Transcript(
    language="en", duration=32_000, created_at=1_700_000_000_000, items=tuple(said("hello world ."))
)


class Region:
    """A region's database, blobs and vault, and a queue that only remembers. Nothing here waits."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.blobs = Blobs.open(f"file://{folder}/blobs", {})
        self.encryptor = Encryptor([Fernet.generate_key()])
        self.queue = FakeQueue()
        self.metrics = Metrics()
        self.large_work = LargeWork()
        self.results = Results(self.blobs, self.encryptor, database, self.large_work, self.metrics)

    # ── parts ──

    def outbox(self, policy: SendPolicy | None = None) -> Outbox:
        return Outbox(self.encryptor, self.queue, (policy or SendPolicy()).tries)

    def sender(self, outbound: Outbound, policy: SendPolicy | None = None) -> Sender:
        return Sender(
            region=RegionContext(
                keep_ms=7 * 86_400_000,
                database=self.database,
                encryptor=self.encryptor,
                queue=self.queue,
                outbox=self.outbox(policy),
                metrics=self.metrics,
                blobs=self.blobs,
            ),
            payload_builder=PayloadBuilder(
                self.blobs, self.results, V1ViewBuilder(self.encryptor, self.results, self.large_work)
            ),
            outbound=outbound,
            policy=policy or SendPolicy(timeout=2.0),
        )

    def fetcher(self, outbound: Outbound, policy: FetchPolicy | None = None, disk: Disk | None = None) -> Fetcher:
        return Fetcher(
            region=RegionContext(
                keep_ms=7 * 86_400_000,
                database=self.database,
                blobs=self.blobs,
                encryptor=self.encryptor,
                queue=self.queue,
                outbox=self.outbox(),
                metrics=self.metrics,
                disk=disk,
            ),
            outbound=outbound,
            policy=policy or FetchPolicy(seconds=10.0),
        )

    # ── what happens to the job ──

    def accept(self, config: dict[str, Any], **changes: Any) -> None:
        new = new_job(ID, config=self.encryptor.encrypt(json.dumps(config).encode()), **changes)
        with self.database.writing() as connection:
            repository.insert(connection, new)

    async def accept_media(self, *notifications: dict[str, Any], **more: Any) -> None:
        await self.blobs.put(media_key(ID), MEDIA)
        config = {**CONFIG, **more} | ({"notification_config": list(notifications)} if notifications else {})
        self.accept(config, media_bytes=len(MEDIA))

    async def end(self, reason: Reason | None = None, *, envelopes: Any = None) -> list[Delivery]:
        """End the job as a worker would, and post; its deliveries in the order of the config."""
        if reason is None:
            await self.blobs.put(result_key(ID, 1), codec.encode(TRANSCRIPT))
        outbox = self.outbox()
        posted = await outbox.prepare(self.job()) if envelopes is None else envelopes
        with self.database.writing() as connection:
            assert repository.claim(connection, ID, owner="one", lease_ms=60_000)
            if reason is None:
                assert repository.finish(
                    connection, ID, 1, result_key=result_key(ID, 1), duration_ms=2000, engine="e", keep_ms=1000
                )
            else:
                assert repository.fail(connection, ID, 1, reason=reason, message="it failed", keep_ms=1000)
            outbox.post(connection, ID, posted)
        return self.told()

    def remove(self) -> None:
        with self.database.writing() as connection:
            assert repository.make_tombstone(connection, ID, Event.REMOVED)

    # ── looks ──

    def job(self) -> model.Job:
        with self.database.reading() as connection:
            found = repository.get(connection, ID)
        assert found
        return found

    def told(self) -> list[Delivery]:
        with self.database.reading() as connection:
            return sorted(deliveries.listing(connection), key=lambda each: each.number)

    def errors(self) -> list[str]:
        """As the job's owner sees them."""
        return [message for _, message in self.results.view(self.job()).errors]

    def log(self) -> list[str]:
        with self.database.reading() as connection:
            return [f"{line.level} {line.stage}: {line.text}" for line in repository.log_lines(connection, ID)]

    def everything(self) -> bytes:
        """All that stands in the database, as text and bytes: secrets must not."""
        with self.database.reading() as connection:
            rows = [tuple(row) for table in t.region.tables.values() for row in connection.execute(sa.select(table))]
        return repr(rows).encode()

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics._registry.get_sample_value(f"sottovoce_{name}_total", labels) or 0.0


@contextmanager
def region_in(folder: Path) -> Iterator[Region]:
    with migrated(folder) as database:
        yield Region(database, folder)


def going_out(go: Callable[[Outbound], Awaitable[None]], *allow: str, **rules: Any) -> None:
    """*go* with a client that may reach this machine, within a minute."""

    async def bounded() -> None:
        async with asyncio.timeout(60), Outbound(opened(*allow, **rules)) as outbound:
            await go(outbound)

    asyncio.run(bounded())
