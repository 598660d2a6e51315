"""A minimal server as a baseline: a constant answer, and a raw body written to a durable file. Started by `bench.jobs`."""

import asyncio
import os
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BODY = b'{"job":{"config":{"type":"transcription","transcription_config":{"language":"en"}},'
BODY += (
    b'"created_at":"2026-01-01T00:00:00.000Z","data_name":"demo.wav","duration":16,"id":"abcdefghij","status":"done"}}'
)


async def constant(_request: Request) -> Response:
    """Answer with the same bytes every time."""
    return Response(BODY, media_type="application/json")


async def raw(request: Request) -> Response:
    """Write the body into a file as it arrives, and sync the file."""
    path = Path(sys.argv[2]) / "raw"
    with path.open("wb") as file:
        pending = bytearray()
        async for chunk in request.stream():
            pending += chunk
            if len(pending) >= 4 << 20:
                await asyncio.to_thread(file.write, bytes(pending))
                pending.clear()
        file.write(pending)
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())
    path.unlink()
    return Response(b"{}", 201)


if __name__ == "__main__":
    routes = [Route("/v2/jobs/{job_id}", constant), Route("/raw", raw, methods=["POST"])]
    uvicorn.run(
        Starlette(routes=routes),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
    )
