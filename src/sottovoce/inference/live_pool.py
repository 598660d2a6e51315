"""The child processes for live sessions: started in advance, above batch in priority, chosen by their number of sessions.

Use it on the pool's event loop, except `load`.
In order: `LiveLoad` and its measurement; `LivePool`.
"""

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sottovoce.engines.engine import EngineKey
from sottovoce.inference.child import Child
from sottovoce.inference.live import LiveChild, LiveFull
from sottovoce.inference.live_cost import UNKNOWN, SessionCost
from sottovoce.transcript.model import RATE

_log = logging.getLogger(__name__)

_INTERVAL = 2.0  # seconds between two measurements of the load
_SMOOTHING = 0.12  # weight of the newest measurement: the average covers about 30 s
_YOUNG = 30.0  # seconds after which the average contains the load of a session


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLoad:
    """Open *sessions*; *busy*: share 0..1 of *cores* that live children use, and *batch*: the share of all cores that the other
    engine processes use, both averaged over about 30 s; *unseen*: share of *cores* that sessions in their first 30 s will use
    beyond what the average contains. *cores*: those that live children can use, one for each decode at once. *costs*: cores of
    one session of each engine that runs.
    """

    sessions: int
    busy: float
    batch: float
    unseen: float
    cores: int
    costs: Mapping[EngineKey, float]


class LoadMeter:
    """The share of the machine's cores that some processes use, smoothed."""

    def __init__(self, cores: int) -> None:
        self.share = 0.0
        self._cores = cores
        self._at = time.monotonic()
        self._used: dict[int, float] = {}

    def measure(self, pids: Iterable[int]) -> None:
        """Take the processor time of *pids* since the last measurement into account."""
        now = time.monotonic()
        used = {pid: seconds for pid in pids if (seconds := _cpu_seconds(pid)) is not None}
        spent = sum(seconds - self._used.get(pid, seconds) for pid, seconds in used.items())
        passed = now - self._at
        self._at, self._used = now, used
        if passed > 0:
            self.share += _SMOOTHING * (min(spent / passed / self._cores, 1.0) - self.share)


def _cpu_seconds(pid: int) -> float | None:
    """The processor time of *pid* in seconds; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    key: EngineKey
    channels: int
    at: float

    def unseen(self, now: float) -> float:
        """The part of its load that the average does not contain yet."""
        return self.channels * max(0.0, 1 - (now - self.at) / _YOUNG)


class LivePool:
    """At most *children* processes for each engine, each with *decodes* at once.

    *start* starts one; *others*: process ids of the batch children.
    """

    def __init__(
        self,
        start: Callable[[EngineKey], Awaitable[Child]],
        others: Callable[[], Iterable[int]],
        *,
        children: int,
        decodes: int,
        most_sessions: int,
    ) -> None:
        self._start = start
        self._others = others
        self._children = max(children, 1)
        self._decodes = max(decodes, 1)
        self._most = most_sessions
        self._running: dict[EngineKey, list[LiveChild]] = {}
        self._starting: dict[EngineKey, asyncio.Lock] = {}
        self._opened: dict[int, _Opened] = {}
        self._costs: dict[EngineKey, SessionCost] = {}
        self._numbers = itertools.count(1)
        self._cores = max(len(os.sched_getaffinity(0)), 1)
        self._live_meter, self._batch_meter = LoadMeter(self._cores), LoadMeter(self._cores)
        self._measuring: asyncio.Task[None] | None = None
        self._restarting: set[asyncio.Task[None]] = set()
        self._closed = False

    async def prestart(self, key: EngineKey) -> None:
        """Start all children of *key*. Raises as `Child.start` does."""
        async with self._starting.setdefault(key, asyncio.Lock()):
            while len(self._alive(key)) < self._children:
                await self._add(key)

    async def place(self, key: EngineKey, channels: int = 1) -> tuple[LiveChild, int]:
        """Return the child of *key* with the fewest sessions, and a number for a new session of *channels*.

        Raises `LiveFull` when the most sessions are open; as `Child.start` if no child runs and none can be started.
        """
        if self.sessions >= self._most:
            raise LiveFull(f"{self.sessions} live sessions are open, the most that this server allows")
        async with self._starting.setdefault(key, asyncio.Lock()):
            if not self._alive(key):
                await self._add(key)
        child = min(self._alive(key), key=lambda each: len(each.sessions))
        number = next(self._numbers)
        self._opened[number] = _Opened(key=key, channels=max(channels, 1), at=time.monotonic())
        return child, number

    def forget(self, number: int) -> None:
        """The session *number* has ended."""
        self._opened.pop(number, None)

    @property
    def sessions(self) -> int:
        """The number of open sessions."""
        return len(self._opened)

    @property
    def started(self) -> bool:
        """True once a child was started."""
        return bool(self._running)

    @property
    def alive(self) -> bool:
        """True if every engine that was started has a child, or one is being started; safe to call from any thread."""
        if self._restarting:
            return True
        return all(
            self._starting[key].locked() or any(each.alive for each in tuple(group))
            for key, group in tuple(self._running.items())
            if key in self._starting
        )

    @property
    def pids(self) -> list[int]:
        """Process ids of the children."""
        return [each.child.process.pid for group in self._running.values() for each in group if each.alive]

    def load(self) -> LiveLoad:
        """Return the load; safe to call from any thread."""
        now = time.monotonic()
        costs = {key: cost.cores for key, cost in tuple(self._costs.items())}
        unseen = sum(each.unseen(now) * costs.get(each.key, UNKNOWN) for each in tuple(self._opened.values()))
        cores = min(self._cores, self._children * self._decodes * max(len(costs), 1))
        return LiveLoad(
            sessions=self.sessions,
            busy=min(self._live_meter.share * self._cores / cores, 1.0),
            batch=self._batch_meter.share,
            unseen=unseen / cores,
            cores=cores,
            costs=costs,
        )

    async def close(self) -> None:
        """Kill every child; open sessions fail."""
        self._closed = True
        if self._measuring is not None:
            self._measuring.cancel()
        for task in self._restarting:
            task.cancel()
        await asyncio.gather(*self._restarting, return_exceptions=True)
        for group in self._running.values():
            for each in group:
                await each.close()
        self._running.clear()

    def _alive(self, key: EngineKey) -> list[LiveChild]:
        group = [each for each in self._running.get(key, []) if each.alive]
        self._running[key] = group
        return group

    async def _add(self, key: EngineKey) -> None:
        started = await self._start(key)
        cost = self._costs.setdefault(key, SessionCost(started.decode))
        child = LiveChild(
            started, lambda: self._replace(key), lambda event: cost.worked(event.audio / RATE, event.seconds)
        )
        if self._closed:
            await child.close()
            raise LiveFull("the server stops")
        self._running.setdefault(key, []).append(child)
        if self._measuring is None:
            self._measuring = asyncio.create_task(self._measure())

    def _replace(self, key: EngineKey) -> None:
        """Start another child in place of one that has ended, so that the next session does not wait for it."""
        if not self._closed:
            task = asyncio.create_task(self._restart(key))
            self._restarting.add(task)
            task.add_done_callback(self._restarting.discard)

    async def _restart(self, key: EngineKey) -> None:
        try:
            async with self._starting.setdefault(key, asyncio.Lock()):
                if len(self._alive(key)) < self._children:
                    await self._add(key)
        except Exception as error:  # noqa: BLE001 - the next session tries again and reports it
            _log.error("live engine cannot be restarted", extra={"engine": key.engine, "why": str(error)})

    async def _measure(self) -> None:
        while True:
            self._live_meter.measure(self.pids)
            self._batch_meter.measure(self._others())
            await asyncio.sleep(_INTERVAL)
