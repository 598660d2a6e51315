"""The parent's side: warm children, one task each at a time, watched, killed on cancel, replaced when worn.

The pool lives on one permanent thread with an event loop of its own, for two reasons: PDEATHSIG is bound to the *thread* that
started a child, and its callers sit on different loops (the web server's, the queue's) or on none (the command line).
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sottovoce.engines.config import EngineConfig
from sottovoce.errors import Refused
from sottovoce.inference import messages as m
from sottovoce.inference.child import Child, ProcessDied
from sottovoce.inference.share import Share
from sottovoce.inference.worker_group import (
    EngineMisconfigured,
    EngineTemporarilyUnavailable,
    PoolPolicy,
    TaskCrashed,
    WorkerGroup,
)

__all__ = [
    "MEDIA",
    "EngineMisconfigured",
    "EngineTemporarilyUnavailable",
    "Listener",
    "Outcome",
    "Pool",
    "PoolPolicy",
    "ProcessDied",
    "Task",
    "TaskCrashed",
]

_log = logging.getLogger(__name__)
T = TypeVar("T")

MEDIA = m.EngineKey(engine="media")
"""The key of children that only inspect media."""

Listener = Callable[[m.Message, bytes], None]
"""Hears every message of a task on the pool's thread; must return at once."""

_LOOK = 5.0
"""Seconds between looks for children that rest, and for memory that others free, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a finished task leaves: its last message and payload."""

    finished: m.Finished
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to ask of a child, with the message's *payload*; *windows* are sent after it."""

    message: m.Transcribe | m.Align | m.Inspect
    payload: bytes = b""
    windows: Sequence[tuple[m.WindowDone, bytes]] = ()


class Pool:
    """Children for every key that is asked for: warmed beforehand, or started when first needed, *slots* of each at most.

    A child that can work on several pieces of its job at once may use the slots that no other child is using.
    """

    def __init__(
        self, policy: PoolPolicy | None = None, engine_config: EngineConfig | None = None, *, slots: int = 1
    ) -> None:
        self._policy = policy or PoolPolicy()
        self._engine_config = engine_config or EngineConfig()
        self._slots = slots
        self._share = Share(slots)
        self._teams: dict[m.EngineKey, WorkerGroup] = {}
        self._making_room: asyncio.Lock | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="inference-pool", daemon=True)
        self._thread.start()

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        unloading = self._loop.create_task(self._unload()) if self._policy.idle_unload else None
        self._loop.run_forever()
        del unloading

    def prestart(self, key: m.EngineKey, slots: int) -> None:
        """Start *slots* children of *key* and wait for them. Raises `EngineUnavailable`."""
        self._submit(self._warm(key, slots)).result()

    async def _warm(self, key: m.EngineKey, slots: int) -> None:
        team = self._new_team(key, slots)
        await team.prestart()
        self._teams[key] = team

    def _new_team(self, key: m.EngineKey, slots: int) -> WorkerGroup:
        shared = self._share.descriptor
        return WorkerGroup(
            key, slots, self._policy, self._engine_config, room=self._room, share=shared, changed=self._divide
        )

    def _divide(self) -> None:
        """Share the slots among the children at work; looks at media count for nothing."""
        self._share.divide(sum(len(team.busy) for key, team in self._teams.items() if key != MEDIA))

    def _team(self, key: m.EngineKey) -> WorkerGroup:
        return self._teams.setdefault(key, self._new_team(key, self._slots))

    async def _unload(self) -> None:
        """End children that rest for too long, and those of the inspector never: they are small, and wanted at once."""
        while True:
            await asyncio.sleep(min(_LOOK, self._policy.idle_unload / 2))
            for key, team in tuple(self._teams.items()):
                if key != MEDIA and (gone := await team.unload(rested_for=self._policy.idle_unload)):
                    _log.info(
                        "idle engine unloaded", extra={"engine": key.engine, "model": key.model, "children": gone}
                    )

    async def _room(self, wanted: WorkerGroup) -> None:
        """Return when one more child of *wanted* fits into the budget, or when there is nothing left to wait for."""
        budget = self._policy.memory_budget
        if budget is None:
            return
        self._making_room = self._making_room or asyncio.Lock()
        async with self._making_room:
            while self._used() + wanted.resident > budget:
                if await self._end_one(wanted):
                    continue
                if not any(team.busy for key, team in self._teams.items() if key != MEDIA):
                    return  # it would not fit into an empty machine either: better slow than never
                await asyncio.sleep(min(_LOOK, 0.2))

    def _used(self) -> int:
        return sum(child.resident() for team in self._teams.values() for child in team.children)

    async def _end_one(self, wanted: WorkerGroup) -> bool:
        """End the child of another engine that has rested longest; whether there was one."""
        resting = [
            (child.idle_since, team)
            for key, team in self._teams.items()
            if team is not wanted and key != MEDIA
            for child in team.idle
        ]
        if not resting:
            return False
        idle_since, team = min(resting, key=lambda pair: pair[0])
        oldest = next(child for child in team.idle if child.idle_since == idle_since)
        team.idle.remove(oldest)
        await oldest.kill()
        _log.info("engine unloaded for another", extra={"engine": team.key.engine, "model": team.key.model})
        return True

    def alive(self) -> bool:
        """Whether every team that was asked for has a child at work, at rest or on its way."""
        return self._thread.is_alive() and bool(self._teams) and all(team.alive for team in self._teams.values())

    def occupancy(self) -> dict[str, tuple[int, int]]:
        """Busy and all slots, by engine."""
        found: dict[str, tuple[int, int]] = {}
        for key, team in tuple(self._teams.items()):
            busy, slots = found.get(key.engine, (0, 0))
            found[key.engine] = (busy + len(team.busy), max(slots, team.slots))
        return found

    def busy_pids(self) -> list[int]:
        """Processes at work now; for the operator and for fault tests."""
        return [child.process.pid for team in self._teams.values() for child in team.busy]

    async def run(self, key: m.EngineKey, task: Task, listen: Listener) -> Outcome:
        """*task* done by a child of *key*; cancelling kills the child.

        Raises `Refused` (the caller's fault), `ProcessDied` (worth another try), `TaskCrashed` (our bug),
        `EngineTemporarilyUnavailable` (wait), `EngineMisconfigured` (the operator has to mend it).
        """
        return await asyncio.wrap_future(self._submit(self._run(key, task, listen)))

    def run_blocking(self, key: m.EngineKey, task: Task, listen: Listener) -> Outcome:
        """The same for a caller without a loop; Ctrl-C cancels."""
        future = self._submit(self._run(key, task, listen))
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _run(self, key: m.EngineKey, task: Task, listen: Listener) -> Outcome:
        async with self._team(key).child() as child:
            await self._ask(child, task)
            return await self._follow(child, listen)

    async def _ask(self, child: Child, task: Task) -> None:
        for message, payload in ((task.message, task.payload), *task.windows):
            async with self._watched():
                await child.send(message, payload)

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """The body may wait for the child as long as a silence may last. Raises `ProcessDied` after that."""
        try:
            async with asyncio.timeout(self._policy.stall_timeout):
                yield
        except TimeoutError as error:
            raise ProcessDied(f"no sign of life for {self._policy.stall_timeout:.0f} s") from error

    async def _follow(self, child: Child, listen: Listener) -> Outcome:
        while True:
            async with self._watched():
                message, payload = await child.receive()
            match message:
                case m.Finished():
                    return Outcome(finished=message, payload=payload)
                case m.Declined():
                    raise Refused(message.refusal, message.why, at=message.at)
                case m.Broken():
                    raise TaskCrashed(message.error)
                case _:
                    listen(message, payload)

    def close(self) -> None:
        """Kill every child and end the thread. Tasks still running are cancelled."""
        if not self._thread.is_alive():
            return
        self._submit(self._close()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._share.close()

    async def _close(self) -> None:
        for team in self._teams.values():
            await team.close()
        self._teams.clear()
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
