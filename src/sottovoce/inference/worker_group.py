"""All children of one engine and model: the number of busy ones is limited, idle ones are reused, worn ones replaced.

In order: the errors; `PoolPolicy`; `WorkerGroup`.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.errors import EngineUnavailable, Refused
from sottovoce.inference.child import Child, SpawnSpec

_log = logging.getLogger(__name__)


class EngineTemporarilyUnavailable(Exception):
    """No engine process can be started now, although one was started before; a later attempt may succeed."""


class EngineMisconfigured(Exception):
    """The engine has never started in this process; the operator has to fix it, waiting does not help."""


class TaskCrashed(Exception):
    """The task raised an unexpected exception (a bug); the child still runs, and a retry would raise it again.

    *told*: what the caller reads about it; empty: nothing special.
    """

    def __init__(self, error: str, *, told: str = "") -> None:
        super().__init__(error)
        self.told = told


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPolicy:
    """When children are killed and replaced. Times in seconds, sizes in bytes.

    *stall_timeout*: longest time without a message during a task. *load_timeout*: to load the engine. *recycle_after*
    tasks, or with more than *max_rss* of resident memory, a child is replaced. *idle_unload*: children that are idle for
    this time are ended, 0 = never. *memory_budget*: resident memory of all children together; above it, idle children of
    other engines are ended before another is started, None = no limit.
    """

    stall_timeout: float = 300.0
    load_timeout: float = 600.0
    recycle_after: int = 200
    max_rss: int = 4 << 30
    idle_unload: float = 0.0
    memory_budget: int | None = None


class WorkerGroup:
    """The children of one `EngineKey`: idle ones wait in a stack, a semaphore limits the busy ones to *slots*.

    *room* is entered to start a child, and waits until it fits; *changed* is called when the number of busy children changes;
    *share*: see `SpawnSpec`.
    """

    def __init__(
        self,
        key: EngineKey,
        slots: int,
        policy: PoolPolicy,
        engine_config: EngineConfig,
        *,
        room: Callable[["WorkerGroup"], AbstractAsyncContextManager[None]],
        share: int,
        changed: Callable[[], None],
    ) -> None:
        self.key = key
        self.slots = slots
        self.busy: set[Child] = set()
        self.idle: list[Child] = []
        self.resident = 0  # bytes: the largest resident memory measured of a child of this group
        self._free = asyncio.Semaphore(slots)
        self._policy = policy
        self._engine_config = engine_config
        self._room = room
        self._share = share
        self._changed = changed
        self._starting: set[asyncio.Task[None]] = set()
        self._starts: Counter[str] = Counter()  # children being started, by device
        self._started = False  # True once any start has succeeded
        self._down = False  # True if the last start failed
        self._closed = False

    @property
    def alive(self) -> bool:
        """True if a child is running or being started, or if there is none only because none was needed."""
        resting = any(child.alive for child in list(self.idle))
        return bool(self.busy or self._starting or resting or not (self.idle or self._down))

    @property
    def children(self) -> list[Child]:
        """All children, idle and busy."""
        return [*self.idle, *self.busy]

    async def prestart(self, number: int) -> None:
        """Start *number* children and wait until all have loaded their engine. Raises as `Child.start` does."""
        results = await asyncio.gather(*(self._start() for _ in range(number)), return_exceptions=True)
        self.idle.extend(result for result in results if isinstance(result, Child))
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await self.close()  # kill those that started
            raise failures[0]

    async def _start(self) -> Child:
        """Start a child on the device with the fewest children. Raises as `Child.start` does."""
        device = self._device()
        self._starts[device] += 1
        try:
            spec = SpawnSpec(
                key=self.key,
                device=device,
                engine_config=self._engine_config,
                timeout=self._policy.load_timeout,
                share=self._share,
            )
            child = await Child.start(spec)
        except BaseException:
            self._down = True
            raise
        finally:
            self._starts[device] -= 1
        self._started, self._down = True, False
        self.resident = max(self.resident, child.resident())
        return child

    def _device(self) -> str:
        devices = (
            self._engine_config.devices if self.key.device == self._engine_config.kind_of_device else (self.key.device,)
        )
        taken = Counter(child.device for child in self.children) + self._starts
        return min(devices, key=lambda device: taken[device])

    @contextlib.asynccontextmanager
    async def child(self) -> AsyncIterator[Child]:
        """Yield a loaded child for exclusive use; wait for a free slot first.

        Afterwards the child is killed if the body was cancelled or the child died, else it becomes idle.
        """
        async with self._free:
            child = await self._take()
            self.busy.add(child)
            self._changed()
            reusable = False
            try:
                yield child
                reusable = True
            except (Refused, TaskCrashed):
                reusable = True
                raise
            finally:
                self.busy.discard(child)
                self._changed()
                await asyncio.shield(self._give_back(child, reusable=reusable))

    async def _take(self) -> Child:
        while self._starting and not self.idle:
            await asyncio.wait(self._starting)
        while self.idle:
            child = self.idle.pop()
            if child.alive:
                return child
            await child.kill()  # it died while idle: reap it
        try:
            async with self._room(self):
                return await self._start()
        except (EngineUnavailable, OSError) as error:
            if not self._started and isinstance(error, EngineUnavailable):
                raise EngineMisconfigured(f"{self.key.engine} {self.key.model}: {error.detail}") from error
            # it has started before, so the cause may be temporary
            raise EngineTemporarilyUnavailable(f"engine {self.key.engine} cannot be started: {error}") from error

    async def _give_back(self, child: Child, *, reusable: bool) -> None:
        """Make *child* idle, or kill and replace it if it is not *reusable* or is worn."""
        child.tasks += 1
        child.idle_since = time.monotonic()
        resident = child.resident()
        self.resident = max(self.resident, resident)
        exhausted = child.tasks >= self._policy.recycle_after or resident > self._policy.max_rss
        if reusable and not exhausted and not self._closed:
            self.idle.append(child)
            return
        await child.kill()
        if not self._closed:
            refill = asyncio.create_task(self._refill())
            self._starting.add(refill)
            refill.add_done_callback(self._starting.discard)

    async def _refill(self) -> None:
        try:
            async with self._room(self):
                self.idle.append(await self._start())
        except (EngineUnavailable, OSError) as error:
            _log.error("engine cannot be restarted", extra={"engine": self.key.engine, "why": str(error)})

    async def unload(self, *, rested_for: float = 0.0) -> int:
        """End the children that have been idle for *rested_for* seconds; return their number."""
        now = time.monotonic()
        going = [child for child in self.idle if now - child.idle_since >= rested_for]
        self.idle = [child for child in self.idle if child not in going]
        for child in going:
            await child.kill()
        return len(going)

    async def close(self) -> None:
        """Kill every child and stop replacing them."""
        self._closed = True
        for task in tuple(self._starting):
            task.cancel()
        for child in self.children:
            await child.kill()
        self.idle.clear()
