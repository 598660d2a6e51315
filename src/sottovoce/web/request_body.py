"""Reads small request bodies into memory."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from sottovoce.errors import Kind, Refused

TIMEOUT = 30.0
"""Seconds in which the whole body must arrive."""


async def read_small(request: Request, most: int) -> bytes:
    """The body, of at most *most* bytes. Raises `Refused`."""
    body = bytearray()
    try:
        async with asyncio.timeout(TIMEOUT):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    raise Refused(Kind.TOO_LARGE, f"the body is larger than {most} bytes")
    except TimeoutError as error:
        raise Refused(Kind.REQUEST_TIMEOUT, "the body did not arrive in time") from error
    except ClientDisconnect as error:
        raise Refused(Kind.MALFORMED, "the client disconnected before the end of the body") from error
    return bytes(body)
