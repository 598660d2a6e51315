"""Retries work that fails because the database, the blob store or an engine process is unavailable."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

_log = logging.getLogger(__name__)

BACKOFF = 1.0
"""Seconds before the second try; the pause doubles after each failure."""
MAX_BACKOFF = 60.0
"""Maximum seconds between two tries."""

T = TypeVar("T")


async def retry_forever(work: Callable[[], Awaitable[T]], *, reraise: tuple[type[Exception], ...] = ()) -> T:
    """Call *work* until it succeeds and return its result. Exceptions of *reraise* pass through to the caller."""
    backoff = BACKOFF
    while True:
        try:
            return await work()
        except reraise:
            raise
        except Exception:  # noqa: BLE001 - an unavailable dependency must not fail the job
            _log.exception("attempt failed; trying again", extra={"in_seconds": backoff})
            await asyncio.sleep(backoff)
            backoff = min(MAX_BACKOFF, backoff * 2)
