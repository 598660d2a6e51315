"""The processes that translate for realtime sessions: one for each translator, started when needed, ended when idle.

Use it on the pool's event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sottovoce.engines.engine import EngineKey
from sottovoce.errors import Refused
from sottovoce.inference import messages as m
from sottovoce.inference.child import Child, ProcessDied

T = TypeVar("T")

TIMEOUT = 30.0
"""Seconds that one translation may take in its process; a process that takes longer is ended."""
IDLE = 300.0
"""Seconds after which a process that is not used is ended."""


class TranslationFailed(Exception):
    """A translator gave no answer. The message has no text of the session."""


@dataclass(slots=True)
class _Translator:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    child: Child | None = None
    idle: asyncio.TimerHandle | None = None


class TranslationPool:
    """Translators by `EngineKey`; *start* starts the process of one. They take one request at a time, in order of arrival."""

    def __init__(self, start: Callable[[EngineKey], Awaitable[Child]], timeout: float = TIMEOUT) -> None:
        self._start = start
        self._timeout = timeout
        self._translators: dict[EngineKey, _Translator] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Process ids of the translators."""
        return [each.child.process.pid for each in tuple(self._translators.values()) if each.child is not None]

    async def prepare(self, key: EngineKey) -> None:
        """Start the process of *key*, so that the first sentence does not wait. Raises `TranslationFailed`."""
        await self._to_the_end(self._prepared(key))

    async def translate(self, key: EngineKey, asked: m.Translate, payload: bytes) -> tuple[str, ...]:
        """Return the texts of *asked* in its target language. Raises `TranslationFailed`."""
        return await self._to_the_end(self._translated(key, asked, payload))

    async def close(self) -> None:
        """End every process."""
        self._closed = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for found in self._translators.values():
            await self._end(found)

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of *work*, which goes on if the caller is cancelled: its answer would be taken for that of the next."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may be gone

    async def _prepared(self, key: EngineKey) -> None:
        found = self._translators.setdefault(key, _Translator())
        async with found.lock:
            await self._child(key, found)
            self._rest(found)

    async def _translated(self, key: EngineKey, asked: m.Translate, payload: bytes) -> tuple[str, ...]:
        found = self._translators.setdefault(key, _Translator())
        async with found.lock:
            child = await self._child(key, found)
            try:
                async with asyncio.timeout(self._timeout):
                    await child.send(asked, payload)
                    message, _ = await child.receive()
            except TimeoutError as error:
                await self._end(found)
                raise TranslationFailed(f"no answer within {self._timeout:g} s") from error
            except (ProcessDied, asyncio.CancelledError) as error:
                await self._end(found)
                if isinstance(error, asyncio.CancelledError):
                    raise
                raise TranslationFailed(str(error)) from error
            self._rest(found)
        if not isinstance(message, m.Translated):
            why = message.error.rstrip().rpartition("\n")[2] if isinstance(message, m.Broken) else message.kind
            raise TranslationFailed(why[:300])
        return message.texts

    async def _child(self, key: EngineKey, found: _Translator) -> Child:
        """Return the process of *key*, started if it does not run."""
        if found.idle is not None:
            found.idle.cancel()
        if found.child is not None and found.child.alive:
            return found.child
        await self._end(found)
        if self._closed:
            raise TranslationFailed("the server stops")
        try:
            found.child = await self._start(key)
        except (Refused, OSError) as error:
            raise TranslationFailed(f"{key.engine} {key.model} cannot be started: {error}") from error
        return found.child

    def _rest(self, found: _Translator) -> None:
        """End the process when it has not been used for `IDLE` seconds."""

        async def end() -> None:
            async with found.lock:
                await self._end(found)

        def due() -> None:
            task = asyncio.create_task(end())
            self._tasks.add(task)
            task.add_done_callback(self._forget)

        found.idle = asyncio.get_running_loop().call_later(IDLE, due)

    async def _end(self, found: _Translator) -> None:
        child, found.child = found.child, None
        if found.idle is not None:
            found.idle.cancel()
        if child is not None:
            await child.kill()
