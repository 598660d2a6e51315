"""Runs periodic tasks on one thread with its own event loop."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicTask:
    """A task that runs every *interval* seconds, first after *delay* seconds. A failure is logged, and the task runs again."""

    name: str
    interval: float
    do: Callable[[], Awaitable[object]]
    delay: float = 0.0


class Scheduler:
    """Runs periodic tasks until `close`."""

    def __init__(self, tasks: Sequence[PeriodicTask]) -> None:
        self._tasks = tasks
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run_loop, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Start the thread; each task first runs after its delay."""
        self._thread.start()

    def _run_loop(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for task in self._tasks:
                group.create_task(self._repeat(task), name=task.name)

    async def _repeat(self, task: PeriodicTask) -> None:
        pause = task.delay
        while not await self._stopped(pause):
            pause = task.interval
            try:
                await task.do()
            except Exception:  # noqa: BLE001 - one failing task must not stop the scheduler
                _log.exception("periodic task failed", extra={"chore": task.name})

    async def _stopped(self, pause: float) -> bool:
        try:
            async with asyncio.timeout(pause):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Stop after the tasks that run now."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
