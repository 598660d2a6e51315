"""The handlers of tasks, which run in attempts beside recognition."""

from collections.abc import Mapping

from sottovoce.outbound import Outbound
from sottovoce.service.context import RegionContext
from sottovoce.service.jobs.media_fetcher import Fetcher
from sottovoce.service.jobs.results import Results
from sottovoce.service.jobs.v1_view import V1ViewBuilder
from sottovoce.service.plan import TaskSettings
from sottovoce.service.queue.port import TaskHandler, TaskKind
from sottovoce.service.worker.notification_payload import PayloadBuilder
from sottovoce.service.worker.notification_sender import Sender


def handlers(region: RegionContext, outbound: Outbound, settings: TaskSettings) -> Mapping[TaskKind, TaskHandler]:
    """The handler of each kind of task except retention."""
    results = Results(region.blobs, region.encryptor, region.database, region.large_work, region.metrics)
    sender = Sender(
        region=region,
        payload_builder=PayloadBuilder(
            region.blobs, results, V1ViewBuilder(region.encryptor, results, region.large_work)
        ),
        outbound=outbound,
        policy=settings.send,
    )
    fetcher = Fetcher(region=region, outbound=outbound, policy=settings.fetch)
    return {
        TaskKind.DELIVERY: TaskHandler(attempt=sender.attempt, slots=settings.deliveries),
        TaskKind.FETCH: TaskHandler(attempt=fetcher.attempt, slots=settings.fetches),
    }
