"""What has to happen again and again beside requests and jobs, on one thread with an event loop of its own."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicTask:
    """Something to do every *interval* seconds, first after *delay*; a failure is logged and does not end it."""

    name: str
    interval: float
    do: Callable[[], Awaitable[object]]
    delay: float = 0.0


class Scheduler:
    """Runs chores until told to stop."""

    def __init__(self, chores: Sequence[PeriodicTask]) -> None:
        self._chores = chores
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._live, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin; every chore has a first turn after its delay."""
        self._thread.start()

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for chore in self._chores:
                group.create_task(self._repeat(chore), name=chore.name)

    async def _repeat(self, chore: PeriodicTask) -> None:
        pause = chore.delay
        while not await self._stopped(pause):
            pause = chore.interval
            try:
                await chore.do()
            except Exception:  # noqa: BLE001 - tomorrow is another day
                _log.exception("chore failed", extra={"chore": chore.name})

    async def _stopped(self, pause: float) -> bool:
        try:
            async with asyncio.timeout(pause):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Stop, after the chores that are under way."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
