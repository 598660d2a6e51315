"""Waiting out the outside world: database, blobs, engine processes. Its trouble is no reason to lose a job."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

_log = logging.getLogger(__name__)

BACKOFF = 1.0
MAX_BACKOFF = 60.0
"""Seconds before the second try, and at most."""

T = TypeVar("T")


async def retry_forever(work: Callable[[], Awaitable[T]], *, reraise: tuple[type[Exception], ...] = ()) -> T:
    """*work*, over and over until the outside world lets it through. Exceptions of *reraise* are for the caller."""
    backoff = BACKOFF
    while True:
        try:
            return await work()
        except reraise:
            raise
        except Exception:  # noqa: BLE001 - the outside world is in trouble; the job is not
            _log.exception("attempt failed; trying again", extra={"in_seconds": backoff})
            await asyncio.sleep(backoff)
            backoff = min(MAX_BACKOFF, backoff * 2)
