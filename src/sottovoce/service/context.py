"""The parts of a region that most of the service uses, in one value."""

from dataclasses import dataclass, field

from sottovoce.service.large_work import LargeWork
from sottovoce.service.limits.quotas import Disk
from sottovoce.service.metrics import Metrics
from sottovoce.service.notifications.outbox import Outbox
from sottovoce.service.queue.port import JobQueue
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.encryption import Encryptor


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionContext:
    """A region's database and blobs, the encryption of what is stored in them, its queue, outbox and metrics.

    *keep_ms*: the retention of ended jobs without their own, in ms. *disk*: the disk that the blobs are on; None when they are in
    an object store. *large_work*: threads for caller-sized data.
    """

    database: Database
    blobs: Blobs
    encryptor: Encryptor
    queue: JobQueue
    outbox: Outbox
    metrics: Metrics
    keep_ms: int
    disk: Disk | None = None
    large_work: LargeWork = field(default_factory=LargeWork)
