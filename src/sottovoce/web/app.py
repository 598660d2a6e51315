"""The composition root: settings in, ASGI application out. No globals; every part is built here or in `service.runtime`."""

from starlette.types import ASGIApp

from sottovoce.inference.pool import PoolPolicy
from sottovoce.service.datafolder import DataFolder
from sottovoce.service.limits import Quota
from sottovoce.service.runtime import REGION_NUMBERS, Plan, Runtime
from sottovoce.settings import Settings
from sottovoce.web import ops, reference, routes, v2
from sottovoce.web.edge import Edge
from sottovoce.web.uploads import Limits


def plan(settings: Settings) -> Plan:
    """What *settings* ask to be built. Raises `ValueError` that names the setting."""
    number = settings.region_number or REGION_NUMBERS.get(settings.region)
    if number is None:
        raise ValueError(f"region {settings.region} needs SOTTOVOCE_REGION_NUMBER (1 to 99, of its own)")
    return Plan(
        folder=DataFolder(root=settings.data_dir, region=settings.region),
        region_number=number,
        roles=frozenset(settings.roles),
        database_url=settings.database_url,
        control_database_url=settings.control_database_url,
        blob_url=settings.blob_url,
        blob_options=settings.blob_options,
        secrets_key_file=settings.secrets_key_file,
        first_key=settings.api_key.get_secret_value() if settings.api_key else None,
        engine=settings.engine,
        slots=settings.slots,
        poll=settings.poll_interval,
        drain=settings.drain_timeout,
        pool=PoolPolicy(
            stall_timeout=settings.stall_timeout,
            recycle_after=settings.recycle_after,
            max_rss=settings.max_engine_bytes,
        ),
        lease=settings.lease,
        heartbeat=settings.heartbeat,
        max_failures=settings.max_failures,
        keep=settings.retention_days * 86_400,
        queues=settings.queues,
        quota=Quota(live_jobs=settings.max_jobs, stored_bytes=settings.max_stored_bytes),
        reserve=settings.reserve_bytes,
        sweep=settings.sweep_interval,
    )


def create_app(settings: Settings, runtime: Runtime) -> ASGIApp:
    """The application over a started *runtime*, which stays its owner's to close."""
    addresses: list[routes.Address] = []
    if "api" in settings.roles:
        limits = Limits(file=settings.max_upload_bytes, seconds=settings.upload_timeout)
        waiting = v2.Waiting(default=settings.default_wait, cap=settings.max_wait)
        addresses += v2.addresses(runtime, limits, waiting)
    addresses += [*ops.addresses(runtime), *reference.addresses()]
    return Edge(routes.Table(addresses), runtime.metrics)
