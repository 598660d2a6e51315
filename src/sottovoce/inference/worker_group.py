"""All children of one engine and model: how many may work, who rests, who is worn, and when to let them go."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from sottovoce.engines.config import EngineConfig
from sottovoce.errors import EngineUnavailable, Refused
from sottovoce.inference import messages as m
from sottovoce.inference.child import Child, SpawnSpec

_log = logging.getLogger(__name__)


class EngineTemporarilyUnavailable(Exception):
    """No engine process can be started at the moment, although it could be before; waiting may help."""


class EngineMisconfigured(Exception):
    """An engine that never could be started here: somebody has to mend it; waiting does not help."""


class TaskCrashed(Exception):
    """The child met a bug of ours; it lives, and the same task would meet the bug again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPolicy:
    """When children are watched, worn and replaced. Times in seconds, sizes in bytes.

    *idle_unload*: children that rested for so long are ended, 0 = never. *memory_budget*: resident memory of all children
    together beyond which resting ones of other engines are ended before another is started, `None` = no limit.
    """

    stall_timeout: float = 300.0
    load_timeout: float = 600.0
    recycle_after: int = 200
    max_rss: int = 4 << 30
    idle_unload: float = 0.0
    memory_budget: int | None = None


class WorkerGroup:
    """Idle children wait in a stack, the semaphore counts how many may work.

    *room* is awaited before one is started; *changed* is called when more or fewer are at work; *share*: see `Birth`.
    """

    def __init__(
        self,
        key: m.EngineKey,
        slots: int,
        policy: PoolPolicy,
        engine_config: EngineConfig,
        *,
        room: Callable[["WorkerGroup"], Awaitable[None]],
        share: int,
        changed: Callable[[], None],
    ) -> None:
        self.key = key
        self.slots = slots
        self.busy: set[Child] = set()
        self.idle: list[Child] = []
        self.resident = 0  # bytes, the most that a child of this team was seen to take
        self._free = asyncio.Semaphore(slots)
        self._policy = policy
        self._engine_config = engine_config
        self._room = room
        self._share = share
        self._changed = changed
        self._starting: set[asyncio.Task[None]] = set()
        self._births: Counter[str] = Counter()
        self._started = False  # ever
        self._down = False  # the last start failed
        self._closed = False

    @property
    def alive(self) -> bool:
        """Whether there is a child, one is being started, or one can be: none is there because none was needed."""
        resting = any(child.alive for child in list(self.idle))
        return bool(self.busy or self._starting or resting or not (self.idle or self._down))

    @property
    def children(self) -> list[Child]:
        """Every child there is."""
        return [*self.idle, *self.busy]

    async def prestart(self) -> None:
        """Start every child and wait until each has its engine."""
        results = await asyncio.gather(*(self._start() for _ in range(self.slots)), return_exceptions=True)
        self.idle.extend(result for result in results if isinstance(result, Child))
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await self.close()  # those that did start
            raise failures[0]

    async def _start(self) -> Child:
        """A child on the device that has the fewest. Raises as `Child.start` does."""
        device = self._device()
        self._births[device] += 1
        try:
            birth = SpawnSpec(
                key=self.key,
                device=device,
                engine_config=self._engine_config,
                timeout=self._policy.load_timeout,
                share=self._share,
            )
            child = await Child.start(birth)
        except BaseException:
            self._down = True
            raise
        finally:
            self._births[device] -= 1
        self._started, self._down = True, False
        self.resident = max(self.resident, child.resident())
        return child

    def _device(self) -> str:
        devices = (
            self._engine_config.devices if self.key.device == self._engine_config.kind_of_device else (self.key.device,)
        )
        taken = Counter(child.device for child in self.children) + self._births
        return min(devices, key=lambda device: taken[device])

    @contextlib.asynccontextmanager
    async def child(self) -> AsyncIterator[Child]:
        """A warm child of one's own. It is killed if the body is cancelled or the child died, else given back."""
        async with self._free:
            child = await self._take()
            self.busy.add(child)
            self._changed()
            whole = False
            try:
                yield child
                whole = True
            except (Refused, TaskCrashed):
                whole = True
                raise
            finally:
                self.busy.discard(child)
                self._changed()
                await asyncio.shield(self._give_back(child, whole=whole))

    async def _take(self) -> Child:
        while self._starting and not self.idle:
            await asyncio.wait(self._starting)
        while self.idle:
            child = self.idle.pop()
            if child.alive:
                return child
            await child.kill()  # it died while idle: reap it
        try:
            await self._room(self)
            return await self._start()
        except (EngineUnavailable, OSError) as error:
            if not self._started and isinstance(error, EngineUnavailable):
                raise EngineMisconfigured(f"{self.key.engine} {self.key.model}: {error.detail}") from error
            # it has started before: nothing that a caller could mend
            raise EngineTemporarilyUnavailable(f"engine {self.key.engine} cannot be started: {error}") from error

    async def _give_back(self, child: Child, *, whole: bool) -> None:
        child.tasks += 1
        child.idle_since = time.monotonic()
        resident = child.resident()
        self.resident = max(self.resident, resident)
        exhausted = child.tasks >= self._policy.recycle_after or resident > self._policy.max_rss
        if whole and not exhausted and not self._closed:
            self.idle.append(child)
            return
        await child.kill()
        if not self._closed:
            refill = asyncio.create_task(self._refill())
            self._starting.add(refill)
            refill.add_done_callback(self._starting.discard)

    async def _refill(self) -> None:
        try:
            self.idle.append(await self._start())
        except (EngineUnavailable, OSError) as error:
            _log.error("engine cannot be restarted", extra={"engine": self.key.engine, "why": str(error)})

    async def unload(self, *, rested_for: float = 0.0) -> int:
        """End the children that have rested for *rested_for* seconds; how many."""
        now = time.monotonic()
        going = [child for child in self.idle if now - child.idle_since >= rested_for]
        self.idle = [child for child in self.idle if child not in going]
        for child in going:
            await child.kill()
        return len(going)

    async def close(self) -> None:
        """End every child; nobody gets one any more."""
        self._closed = True
        for task in tuple(self._starting):
            task.cancel()
        for child in self.children:
            await child.kill()
        self.idle.clear()
