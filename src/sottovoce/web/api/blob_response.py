"""A blob as a response, whole or the part that `Range` asks for (RFC 9110 §14), from a folder or from S3."""

import asyncio
import re
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from sottovoce.errors import Kind, Refused
from sottovoce.service.storage.blobs import Blobs, Missing

BYTES = "application/octet-stream"
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


async def sent(request: Request, blobs: Blobs, key: str, *, name: str = "", media_type: str = BYTES) -> Response:
    """The blob *key*, with *name* as the name of the file. Raises `Refused` if it is missing.

    A range that is not one satisfiable range of bytes is ignored, as RFC 9110 §14.2 allows.
    """
    if blobs.root is not None:
        path = blobs.root / key
        if not await asyncio.to_thread(path.is_file):
            raise Refused(Kind.FILE_EXPIRED)
        size = (await asyncio.to_thread(path.stat)).st_size
        if _part(request, size) is None:  # the framework would refuse it in plain text
            request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
        return FileResponse(path, media_type=media_type, filename=name or None)
    try:
        size = await blobs.size(key)
        # without a validator in this answer, the condition of `If-Range` cannot hold
        part = None if "if-range" in request.headers else _part(request, size)
        start, end = part or (0, size)
        pieces = blobs.part(key, start, end) if part else blobs.stream(key)
        first = await anext(pieces, b"")
    except Missing as missing:
        raise Refused(Kind.FILE_EXPIRED) from missing

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    headers = {"content-length": str(end - start), "accept-ranges": "bytes"}
    if part:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(body(), 206 if part else 200, media_type=media_type, headers=headers)


def _part(request: Request, size: int) -> tuple[int, int] | None:
    """The bytes of a body of *size* bytes that the request asks for, from and up to; `None` for all of them."""
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None:
        return None
    first, last = match[1], match[2]
    if not first:  # the last bytes
        length = min(int(last or 0), size)
        return (size - length, size) if length else None
    start, end = int(first), min(int(last) + 1 if last else size, size)
    return (start, end) if start < end else None
