"""Health checks and metrics for operators."""

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.job import State
from sottovoce.realtime.admission import Sessions
from sottovoce.service.jobs import repository
from sottovoce.service.metrics import CONTENT_TYPE
from sottovoce.service.runtime import Runtime
from sottovoce.service.storage.database import DATABASE_ERROR
from sottovoce.web.responses import JSON
from sottovoce.web.routing import Route


def routes(runtime: Runtime, sessions: Sessions | None = None) -> list[Route]:
    """`/health/live`, `/health/ready`, `/metrics`; *sessions*: the realtime sessions of the process, if it has that role."""

    async def live(_request: Request) -> Response:
        return Response(orjson.dumps({"live": True}), media_type=JSON)

    async def ready(_request: Request) -> Response:
        state = await runtime.ready()
        whole = all(state.values())
        return Response(orjson.dumps({"ready": whole, **state}), 200 if whole else 503, media_type=JSON)

    async def metrics(_request: Request) -> Response:
        try:
            counts = await runtime.database.read(repository.counts)
        except DATABASE_ERROR:  # operators need the other metrics during an outage of the database
            counts = {}
        found = {str(state): count for state, count in counts.items()}
        if sessions is not None:
            runtime.metrics.realtime.set_running(len(sessions), sessions.lag)
        runtime.metrics.snapshot(found, runtime.pool.occupancy(), State)
        return Response(runtime.metrics.render(), headers={"content-type": CONTENT_TYPE})

    return [
        Route(path="/health/live", handlers={"GET": live}),
        Route(path="/health/ready", handlers={"GET": ready}),
        Route(path="/metrics", handlers={"GET": metrics}),
    ]
