"""Tries work again while the database, the blob store or an engine process is unavailable, and never after a bug."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sottovoce.service.storage.trouble import temporary

_log = logging.getLogger(__name__)

BACKOFF = 1.0
"""Seconds before the second try; the pause doubles after each failure."""
MAX_BACKOFF = 60.0
"""Maximum seconds between two tries."""

T = TypeVar("T")


async def retry_while_unavailable(
    work: Callable[[], Awaitable[T]], *, also: tuple[type[Exception], ...] = (), patience: float | None = None
) -> T:
    """Call *work* until it succeeds, and return its result.

    Tries again after temporary trouble (`temporary`) and after exceptions of *also*, for about *patience* seconds if it is given.
    Every other exception passes through to the caller: it is a bug or unreadable data, and a retry would fail the same way.
    """
    backoff, waited = BACKOFF, 0.0
    while True:
        try:
            return await work()
        except Exception as error:
            over = patience is not None and waited >= patience
            if over or not (isinstance(error, also) or temporary(error)):
                raise
            _log.warning(
                "attempt failed; trying again",
                extra={"in_seconds": backoff, "why": f"{type(error).__name__}: {error}"},
            )
        await asyncio.sleep(backoff)
        waited += backoff
        backoff = min(MAX_BACKOFF, backoff * 2)
