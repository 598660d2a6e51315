"""The one scheduler of periodic work: runs tasks on one thread with its own event loop, some of them once in the whole region.

For a task of the region, a row stores when it is next due, by the database's clock; no lock is held between runs. If the process
that took a run dies, another one takes the next run after at most one interval. A database lock would last as long as its
connection, which can be hours after a machine disappears.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from sottovoce.service.metrics import Metrics
from sottovoce.service.storage import schema as t
from sottovoce.service.storage.database import Database, now_ms
from sottovoce.service.storage.trouble import temporary

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicTask:
    """A task that runs every *interval* seconds, first after *delay* seconds. A failure is logged, and the task runs again.

    *once_per_region*: one of the region's processes runs it at each interval; otherwise this process does.
    """

    name: str
    interval: float
    do: Callable[[], Awaitable[object]]
    delay: float = 0.0
    once_per_region: bool = False


class Scheduler:
    """Runs periodic tasks until `close`."""

    def __init__(self, tasks: Sequence[PeriodicTask], database: Database, metrics: Metrics) -> None:
        self._tasks = tasks
        self._database = database
        self._metrics = metrics
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
            await self.run_once(task)

    async def run_once(self, task: PeriodicTask) -> None:
        """Run *task* now, unless it is a task of the region and not due. Does not raise, so that the other tasks go on."""
        try:
            if not task.once_per_region or await due(self._database, task.name, task.interval):
                await task.do()
        except Exception as error:  # noqa: BLE001 - one failing task must not stop the scheduler
            if temporary(error):
                _log.warning(
                    "periodic task postponed", extra={"chore": task.name, "why": f"{type(error).__name__}: {error}"}
                )
            else:
                self._metrics.broke("periodic")
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


async def due(database: Database, name: str, interval: float) -> bool:
    """True if the region's task *name* is due and this process takes the run.

    Always true for an embedded server, which locks its folder.
    """
    if database.embedded:
        return True
    try:
        return await database.write(lambda connection: take_turn(connection, name, interval))
    except sa.exc.IntegrityError:  # another process inserted the row first
        return False


def take_turn(connection: sa.Connection, name: str, interval: float) -> bool:
    """Take the run of the task *name* if it is due, and set when the next one is. False if it is not due."""
    next_at, every = t.counters.c.value, round(interval * 1000)
    row = t.counters.c.name == f"turn {name}"
    # a due time more than one interval ahead comes from a wrong clock that was corrected since
    due_or_wrong = sa.or_(next_at <= now_ms(), next_at > now_ms() + every)
    if connection.execute(sa.update(t.counters).where(row, due_or_wrong).values(value=now_ms() + every)).rowcount:
        return True
    if connection.execute(sa.select(next_at).where(row)).first():
        return False
    connection.execute(sa.insert(t.counters).values(name=f"turn {name}", value=now_ms() + every))
    return True
