"""What a worker does out in the world besides recognising: its parts, built from the operator's wishes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sottovoce.outbound import Outbound, Policy
from sottovoce.service.jobs.media_fetcher import Fetcher, FetchPolicy
from sottovoce.service.jobs.results import Results
from sottovoce.service.jobs.v1_view import Legacy
from sottovoce.service.limits.quotas import Disk
from sottovoce.service.metrics import Metrics
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.notifications.payload import Packer
from sottovoce.service.notifications.sender import Sender, SendPolicy
from sottovoce.service.queue.dbos_queue import Errand, Hands, JobQueue
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrandPlan:
    """Whom we may talk to, how, and how many attempts of each kind one worker makes at a time."""

    outbound: Policy = field(default_factory=Policy)
    send: SendPolicy = field(default_factory=SendPolicy)
    fetch: FetchPolicy = field(default_factory=FetchPolicy)
    deliveries: int = 16
    fetches: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The parts of a worker that errands use."""

    database: Database
    blobs: Blobs
    vault: Vault
    queue: JobQueue
    outbox: Outbox
    outbound: Outbound
    metrics: Metrics
    disk: Disk | None


def hands(means: Means, plan: ErrandPlan) -> Mapping[Errand, Hands]:
    """Who carries out which errand."""
    results = Results(means.blobs, means.vault)
    sender = Sender(
        database=means.database,
        vault=means.vault,
        queue=means.queue,
        outbox=means.outbox,
        packer=Packer(means.blobs, results, Legacy(means.vault, results)),
        outbound=means.outbound,
        metrics=means.metrics,
        policy=plan.send,
    )
    fetcher = Fetcher(
        database=means.database,
        blobs=means.blobs,
        vault=means.vault,
        queue=means.queue,
        outbox=means.outbox,
        outbound=means.outbound,
        metrics=means.metrics,
        policy=plan.fetch,
        disk=means.disk,
    )
    return {
        Errand.DELIVERY: Hands(attempt=sender.attempt, slots=plan.deliveries),
        Errand.FETCH: Hands(attempt=fetcher.attempt, slots=plan.fetches),
    }
