"""For operators: is it alive, is it ready, how is it doing."""

import orjson
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.job import State
from sottovoce.service.jobs import repository
from sottovoce.service.metrics import CONTENT_TYPE
from sottovoce.service.runtime import Runtime
from sottovoce.web.responses import JSON
from sottovoce.web.routing import Address


def addresses(runtime: Runtime) -> list[Address]:
    """`/health/live`, `/health/ready`, `/metrics`."""

    async def live(_request: Request) -> Response:
        return Response(orjson.dumps({"live": True}), media_type=JSON)

    async def ready(_request: Request) -> Response:
        state = await runtime.ready()
        whole = all(state.values())
        return Response(orjson.dumps({"ready": whole, **state}), 200 if whole else 503, media_type=JSON)

    async def metrics(_request: Request) -> Response:
        try:
            counts = await runtime.database.read(repository.counts)
        except SQLAlchemyError:  # then the metrics are needed most
            counts = {}
        found = {str(state): count for state, count in counts.items()}
        runtime.metrics.snapshot(found, runtime.pool.occupancy(), State)
        return Response(runtime.metrics.render(), headers={"content-type": CONTENT_TYPE})

    return [
        Address(path="/health/live", handlers={"GET": live}),
        Address(path="/health/ready", handlers={"GET": ready}),
        Address(path="/metrics", handlers={"GET": metrics}),
    ]
