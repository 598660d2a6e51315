"""The parent's pool of child processes: loaded in advance, one task at a time each, killed on cancellation and stalls.

The pool runs on one permanent thread with its own event loop, because PDEATHSIG is bound to the *thread* that starts a
child, and because its callers use different loops (the web server's, the queue's) or none (the command line).
In order: `Outcome` and `Task`; starting children; the memory budget; running a task; closing.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import AnySkill, Skill
from sottovoce.errors import Refused
from sottovoce.inference import messages as m
from sottovoce.inference.child import Child, ProcessDied, SpawnSpec
from sottovoce.inference.live import LiveFull, LiveSession
from sottovoce.inference.live_pool import LiveLoad, LivePool
from sottovoce.inference.share import Share
from sottovoce.inference.translation.pool import TranslationFailed, TranslationPool
from sottovoce.inference.worker_group import (
    EngineMisconfigured,
    EngineTemporarilyUnavailable,
    PoolPolicy,
    TaskCrashed,
    WorkerGroup,
)
from sottovoce.pipeline.diarization import KnownVoice
from sottovoce.request import LiveRequest

__all__ = [
    "MEDIA",
    "PLAYBACK",
    "EngineMisconfigured",
    "EngineTemporarilyUnavailable",
    "Listener",
    "LiveFull",
    "LiveLoad",
    "LivePolicy",
    "LiveSession",
    "Outcome",
    "Pool",
    "PoolPolicy",
    "ProcessDied",
    "Task",
    "TaskCrashed",
    "TranslationFailed",
]

_log = logging.getLogger(__name__)
T = TypeVar("T")

MEDIA = EngineKey(engine="media")
"""The key of children that only inspect media."""
PLAYBACK = EngineKey(engine=MEDIA.engine, model="playback")
"""The key of children that prepare media for playback: they may take long, so inspections do not wait for them."""

Listener = Callable[[m.Message, bytes], None]
"""Receives every message of a task on the pool's thread; must not block."""

_CHECK_INTERVAL = 5.0
"""Longest time in seconds between two checks for children to unload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of a finished task: its last message and payload."""

    finished: m.Finished
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task for a child: *message* with its *payload*; *windows* are sent after it."""

    message: m.Transcribe | m.Align | m.Inspect | m.PreparePlayback
    payload: bytes = b""
    windows: Sequence[tuple[m.WindowDone, bytes]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePolicy:
    """*children*: processes for the live sessions of one engine, each with `EngineConfig.workers` decodes at once.

    *most_sessions*: open at the same time, of all engines.
    """

    children: int = 1
    most_sessions: int = 1_000


class Pool:
    """Child processes for every requested key, at most *slots* of each: started in advance, or when first needed.

    A child that can process several pieces of its job in parallel may use the slots that are free.
    """

    def __init__(
        self,
        policy: PoolPolicy | None = None,
        engine_config: EngineConfig | None = None,
        *,
        slots: int = 1,
        live: LivePolicy | None = None,
    ) -> None:
        live = live or LivePolicy()
        self._policy = policy or PoolPolicy()
        self._engine_config = engine_config or EngineConfig()
        self._slots = slots
        self._share = Share(slots)
        self._teams: dict[EngineKey, WorkerGroup] = {}
        self._making_room: asyncio.Lock | None = None
        self._live_pool = LivePool(
            self._start_live,
            self._others,
            children=live.children,
            decodes=self._engine_config.workers,
            most_sessions=live.most_sessions,
        )
        self._translations = TranslationPool(self._start_translator)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="inference-pool", daemon=True)
        self._thread.start()

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        unloading = self._loop.create_task(self._unload()) if self._policy.idle_unload else None
        self._loop.run_forever()
        del unloading

    def prestart(self, key: EngineKey, slots: int, *, at_once: int | None = None) -> None:
        """Allow *slots* children of *key*, and start *at_once* of them (all) and wait for these. Raises `EngineUnavailable`."""
        self._submit(self._warm(key, slots, slots if at_once is None else at_once)).result()

    def prestart_live(self, key: EngineKey) -> None:
        """Start the children of *key* for live sessions and wait for them. Raises `EngineUnavailable`."""
        self._submit(self._live_pool.prestart(key)).result()

    async def _start_live(self, key: EngineKey) -> Child:
        return await self._start_beside(key, "live")

    async def _start_translator(self, key: EngineKey) -> Child:
        return await self._start_beside(key, "translate")

    async def _start_beside(self, key: EngineKey, role: Literal["live", "translate"]) -> Child:
        """Start a child that belongs to no group of jobs."""
        spec = SpawnSpec(
            key=key,
            device=self._engine_config.devices[0],
            engine_config=self._engine_config,
            timeout=self._policy.load_timeout,
            share=self._share.descriptor,
            role=role,
        )
        return await Child.start(spec)

    @contextlib.asynccontextmanager
    async def live(
        self, engines: Mapping[AnySkill, EngineKey], request: LiveRequest, known: Sequence[KnownVoice] = ()
    ) -> AsyncIterator[LiveSession]:
        """Open a live session for *request* on the caller's event loop; leaving the context ends it at once.

        *known*: the voices that the request names.
        Raises `LiveFull`, `EngineUnavailable`, `ProcessDied`.
        """
        child, number = await asyncio.wrap_future(
            self._submit(self._live_pool.place(engines[Skill.LIVE], request.channel_count))
        )
        session = LiveSession(child, number, self._submit)
        opening = m.LiveOpen(session=number, request=request, engines=dict(engines), known=tuple(known))
        try:
            await asyncio.wrap_future(self._submit(child.enter(session, opening)))
            yield session
        finally:
            self._live_pool.forget(number)
            await session.close()

    async def prepare_translator(self, key: EngineKey) -> None:
        """Start the process of the translator *key*. Raises `TranslationFailed`."""
        await asyncio.wrap_future(self._submit(self._translations.prepare(key)))

    async def translate(self, key: EngineKey, asked: m.Translate, audio: bytes = b"") -> tuple[str, ...]:
        """Return the texts of *asked*, translated by *key* beside the live sessions. Raises `TranslationFailed`."""
        return await asyncio.wrap_future(self._submit(self._translations.translate(key, asked, audio)))

    def _others(self) -> list[int]:
        """Return the process ids of the children for jobs and for translation."""
        return [child.process.pid for team in self._teams.values() for child in team.children] + self._translations.pids

    def live_load(self) -> LiveLoad:
        """Return the load of the live children."""
        return self._live_pool.load()

    async def _warm(self, key: EngineKey, slots: int, at_once: int) -> None:
        team = self._new_team(key, slots)
        await team.prestart(at_once)
        self._teams[key] = team

    def _new_team(self, key: EngineKey, slots: int) -> WorkerGroup:
        shared = self._share.descriptor
        return WorkerGroup(
            key, slots, self._policy, self._engine_config, room=self._room, share=shared, changed=self._divide
        )

    def _divide(self) -> None:
        """Divide the slots among the busy children; children that only read media do not count."""
        self._share.divide(sum(len(team.busy) for key, team in self._teams.items() if key.engine != MEDIA.engine))

    def _team(self, key: EngineKey) -> WorkerGroup:
        return self._teams.setdefault(key, self._new_team(key, self._slots))

    async def _unload(self) -> None:
        """End children that are idle for too long, except media inspectors, which are small and must answer at once."""
        while True:
            await asyncio.sleep(min(_CHECK_INTERVAL, self._policy.idle_unload / 2))
            for key, team in tuple(self._teams.items()):
                if key != MEDIA and (gone := await team.unload(rested_for=self._policy.idle_unload)):
                    _log.info(
                        "idle engine unloaded", extra={"engine": key.engine, "model": key.model, "children": gone}
                    )

    @contextlib.asynccontextmanager
    async def _room(self, wanted: WorkerGroup) -> AsyncIterator[None]:
        """Wait until one more child of *wanted* fits into the memory budget, or until no child is left to end or wait for.

        One child is started at a time: only a child that has loaded its engine shows how much memory it takes.
        """
        budget = self._policy.memory_budget
        if budget is None or wanted.key.engine == MEDIA.engine:
            yield
            return
        self._making_room = self._making_room or asyncio.Lock()
        async with self._making_room:
            while self._used() + wanted.resident > budget:
                if await self._end_one(wanted):
                    continue
                if not any(team.busy for key, team in self._teams.items() if key.engine != MEDIA.engine):
                    break  # it exceeds the budget alone; start it anyway, so that its job can run
                await asyncio.sleep(min(_CHECK_INTERVAL, 0.2))
            yield

    def _used(self) -> int:
        """Return the resident memory of all children in bytes."""
        return sum(child.resident() for team in self._teams.values() for child in team.children)

    async def _end_one(self, wanted: WorkerGroup) -> bool:
        """End the longest idle child of another engine; True if there was one."""
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
        """True if the pool's thread runs and every group, of jobs and of live sessions, has a child, is starting one, or has
        needed none yet; and if there is any group.
        """
        teams = tuple(self._teams.values())
        started = bool(teams) or self._live_pool.started
        return self._thread.is_alive() and started and all(team.alive for team in teams) and self._live_pool.alive

    def occupancy(self) -> dict[str, tuple[int, int]]:
        """Return (busy, total) slots by engine."""
        found: dict[str, tuple[int, int]] = {}
        for key, team in tuple(self._teams.items()):
            busy, slots = found.get(key.engine, (0, 0))
            found[key.engine] = (busy + len(team.busy), max(slots, team.slots))
        return found

    def busy_pids(self) -> list[int]:
        """Return the process ids of the busy children, for the operator and for fault tests."""
        return [child.process.pid for team in self._teams.values() for child in team.busy]

    async def run(self, key: EngineKey, task: Task, listen: Listener) -> Outcome:
        """Run *task* in a child of *key* and return its outcome; cancellation kills the child.

        Raises `Refused` (the input is invalid), `ProcessDied` (retry), `TaskCrashed` (a bug),
        `EngineTemporarilyUnavailable` (retry later), `EngineMisconfigured` (the operator has to fix it).
        """
        return await asyncio.wrap_future(self._submit(self._run(key, task, listen)))

    def run_blocking(self, key: EngineKey, task: Task, listen: Listener) -> Outcome:
        """As `run`, for a caller without an event loop; Ctrl-C cancels."""
        future = self._submit(self._run(key, task, listen))
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _run(self, key: EngineKey, task: Task, listen: Listener) -> Outcome:
        async with self._team(key).child() as child:
            await self._ask(child, task)
            return await self._follow(child, listen)

    async def _ask(self, child: Child, task: Task) -> None:
        for message, payload in ((task.message, task.payload), *task.windows):
            async with self._watched():
                await child.send(message, payload)

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Limit the body to the stall timeout. Raises `ProcessDied` after that."""
        try:
            async with asyncio.timeout(self._policy.stall_timeout):
                yield
        except TimeoutError as error:
            raise ProcessDied(f"no message from the child for {self._policy.stall_timeout:.0f} s") from error

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
                    raise TaskCrashed(message.error, told=message.why)
                case _:
                    listen(message, payload)

    def close(self) -> None:
        """Kill every child, cancel running tasks and end the thread."""
        if not self._thread.is_alive():
            return
        self._submit(self._close()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._share.close()

    async def _close(self) -> None:
        await self._live_pool.close()
        await self._translations.close()
        for team in self._teams.values():
            await team.close()
        self._teams.clear()
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
