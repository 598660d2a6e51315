"""The plan of a server process: the values of all settings that the service needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.domains import Domain
from sottovoce.inference.pool import PoolPolicy
from sottovoce.outbound import Policy
from sottovoce.service.billing.credit_holds import Pricing
from sottovoce.service.jobs.media_fetcher import FetchPolicy
from sottovoce.service.limits.live_sessions import LiveQuota
from sottovoce.service.limits.quotas import Quota
from sottovoce.service.limits.rate_limits import RateLimits
from sottovoce.service.notifications.send_policy import SendPolicy
from sottovoce.service.queue.port import BATCH
from sottovoce.service.storage.data_folder import DataFolder
from sottovoce.service.storage.lost_parts import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """Outbound connections, the policies of deliveries and fetches, and the slots for each in one worker."""

    outbound: Policy = field(default_factory=Policy)
    send: SendPolicy = field(default_factory=SendPolicy)
    fetch: FetchPolicy = field(default_factory=FetchPolicy)
    deliveries: int = 16
    fetches: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Values of the settings: times in seconds, *reserve* in bytes. A URL of `None` means the embedded default in *folder*.

    *inspectors*: processes that inspect uploads and start with the server.
    *begin_anew*: the lost parts without which the operator has decided to start.
    """

    folder: DataFolder
    region_number: int
    roles: frozenset[str]
    database_url: str | None = None
    control_database_url: str | None = None
    blob_url: str | None = None
    blob_options: Mapping[str, str] = field(default_factory=dict)
    secrets_key_file: Path | None = None
    first_key: str | None = None
    owner_email: str | None = None
    engine: str = "auto"
    domains: Mapping[str, Domain] = field(default_factory=dict)
    engine_config: EngineConfig = field(default_factory=EngineConfig)
    slots: int = 1
    inspectors: int = 1
    poll: float = 0.1
    drain: float = 20.0
    pool: PoolPolicy = field(default_factory=PoolPolicy)
    lease: float = 10.0
    heartbeat: float = 2.0
    max_failures: int = 3
    playback: bool = False
    keep: float = 7 * 86_400.0
    queues: tuple[str, ...] = (BATCH,)
    sweep: float = 3600.0
    retention: float = 60.0
    tombstones: float = 30 * 86_400.0
    quota: Quota = field(default_factory=Quota)
    running_jobs: int | None = None  # of one workspace; None: no limit
    reserve: int = 1 << 30
    task_settings: TaskSettings = field(default_factory=TaskSettings)
    pricing: Pricing = field(default_factory=Pricing)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    slow_after: float = 1800.0
    begin_anew: frozenset[Part] = frozenset()
    live_quota: LiveQuota = field(default_factory=LiveQuota)
    smaller_live: bool = True  # a session may get a smaller model where there is no room

    @property
    def embedded(self) -> bool:
        """True if the jobs are stored in the folder, which then serves only one process at a time."""
        return self.database_url is None
