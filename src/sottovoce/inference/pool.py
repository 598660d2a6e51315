"""The parent's side: warm children, one task each at a time, watched, killed on cancel, replaced when worn.

The pool lives on one permanent thread with an event loop of its own, for two reasons: PDEATHSIG is bound to the *thread* that
started a child, and its callers sit on different loops (the web server's, the queue's) or on none (the command line).
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sottovoce.errors import EngineUnavailable, Refused
from sottovoce.inference import messages as m

_log = logging.getLogger(__name__)
T = TypeVar("T")

MEDIA = m.EngineKey(engine="media")
"""The key of children that only inspect media."""

_LAST_WORDS = 1.0  # seconds: what a dying process wrote to its standard error is worth reading

Listener = Callable[[m.Message, bytes], None]
"""Hears every message of a task on the pool's thread; must return at once."""


class ChildDied(Exception):
    """The child ended, or was killed for silence, before its task was done. Trying again may help, or may not."""


class EngineDown(Exception):
    """No engine process can be started at the moment, although it could be before; waiting may help."""


class ChildBroke(Exception):
    """The child met a bug of ours; it lives, and the same task would meet the bug again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPolicy:
    """When children are watched, worn and replaced. Times in seconds, sizes in bytes."""

    stall_timeout: float = 300.0
    load_timeout: float = 600.0
    recycle_after: int = 200
    max_rss: int = 4 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a finished task leaves: its last message and payload."""

    finished: m.Finished
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to ask of a child; *windows* are sent after the message."""

    message: m.Transcribe | m.Inspect
    windows: Sequence[tuple[m.WindowDone, bytes]] = ()


_SECRET = re.compile(
    r"^(SOTTOVOCE|AWS|AZURE|GOOGLE|PG)|SECRET|TOKEN|PASSW|CREDENTIAL|API_?KEY|DATABASE_URL", re.IGNORECASE
)
"""Environment variables that a child does not get: it gets a file to read, never a credential."""


def _spawn(key: m.EngineKey, line: socket.socket) -> "subprocess.Popen[bytes]":
    """The process of a new child, which speaks on *line*. To be called on the pool's thread: PDEATHSIG is bound to it."""
    environment = {name: value for name, value in os.environ.items() if not _SECRET.search(name)}
    # -P: what lies in the working directory must not be taken for a module
    command = [sys.executable, "-P", "-m", "sottovoce.inference.host", str(line.fileno()), str(os.getpid())]
    return subprocess.Popen(
        [*command, key.engine, key.model, key.device],
        pass_fds=[line.fileno()],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # onnxruntime reports its use to its makers (1.31.1, seen with strace: a device id in ~/.cache, an HTTPS collector)
        env={**environment, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "ORT_DISABLE_TELEMETRY": "1"},
        start_new_session=True,
    )


class Child:
    """One process and the line to it. Lives on the pool's loop."""

    def __init__(
        self,
        key: m.EngineKey,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.key = key
        self.process = process
        self.tasks = 0
        self.rss = 0
        self._reader = reader
        self._writer = writer
        self._errors = asyncio.create_task(self._log_errors())

    @classmethod
    async def start(cls, key: m.EngineKey, timeout: float) -> "Child":
        """A child with its engine loaded. Raises `EngineUnavailable` when it cannot load, `OSError` when none can be made."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                reader, writer = await asyncio.open_unix_connection(sock=ours)
            except BaseException:
                ours.close()
                raise
            try:
                process = _spawn(key, theirs)
            except BaseException:
                writer.close()
                raise
        child = cls(key, process, reader, writer)
        try:
            async with asyncio.timeout(timeout):
                message, _ = await child.hear()
        except (TimeoutError, ChildDied) as error:
            await child.kill()
            raise EngineUnavailable(f"engine {key.engine} did not start", at=None) from error
        except BaseException:
            await child.kill()
            raise
        if isinstance(message, m.Broken):
            await child.kill()
            raise EngineUnavailable(message.why or f"engine {key.engine} did not start", at=None)
        return child

    async def say(self, message: m.Message, payload: bytes = b"") -> None:
        """Send one frame. Raises `ChildDied`."""
        try:
            self._writer.write(m.encode(message, payload))
            await self._writer.drain()
        except (ConnectionError, OSError) as error:
            raise ChildDied(self._ending()) from error

    async def hear(self) -> tuple[m.Message, bytes]:
        """The next frame. Raises `ChildDied`."""
        try:
            header, payload = m.lengths(await self._reader.readexactly(m.PREFIX))
            message = m.decode(await self._reader.readexactly(header))
            return message, await self._reader.readexactly(payload)
        except (asyncio.IncompleteReadError, ConnectionError, OSError) as error:
            raise ChildDied(self._ending()) from error
        except ValueError as error:  # no frame of ours: whatever wrote this cannot be trusted with the line
            raise ChildDied(f"pid {self.process.pid} broke the line: {type(error).__name__}") from error

    def _ending(self) -> str:
        code = self.process.poll()
        return f"pid {self.process.pid} ended" + (f" with code {code}" if code is not None else "")

    async def kill(self) -> None:
        """End the process and everything it started, and reap it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await asyncio.to_thread(self.process.wait)
        self._writer.close()
        await asyncio.wait({self._errors}, timeout=_LAST_WORDS)
        with contextlib.suppress(asyncio.CancelledError, OSError):
            self._errors.cancel()
            await self._errors
        if self.process.stderr:
            self.process.stderr.close()

    async def _log_errors(self) -> None:
        """Native libraries speak on stderr: each line goes to our log, cut to a sane length."""
        reader = asyncio.StreamReader(limit=1 << 16)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self.process.stderr
        )
        try:
            while not reader.at_eof():
                if line := await _line(reader):
                    said = {"engine": self.key.engine, "pid": self.process.pid, "text": line[:1000]}
                    _log.info("engine says", extra=said)
        finally:
            transport.close()


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readline()).decode("utf-8", "replace").rstrip("\n")
    except ValueError:  # longer than the limit; the reader has dropped it
        return "(a line too long to show)"


class _Team:
    """All children of one key: idle ones wait in a stack, the semaphore counts how many may work."""

    def __init__(self, key: m.EngineKey, slots: int, policy: PoolPolicy) -> None:
        self.key = key
        self.slots = slots
        self.busy: set[Child] = set()
        self._idle: list[Child] = []
        self._free = asyncio.Semaphore(slots)
        self._policy = policy
        self._starting: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def alive(self) -> bool:
        """Whether there is a child, or one is being started."""
        return bool(self.busy or self._starting or any(child.process.poll() is None for child in list(self._idle)))

    async def warm(self) -> None:
        """Start every child and wait until each has its engine."""
        starts = [Child.start(self.key, self._policy.load_timeout) for _ in range(self.slots)]
        results = await asyncio.gather(*starts, return_exceptions=True)
        self._idle.extend(result for result in results if isinstance(result, Child))
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await self.close()  # those that did start
            raise failures[0]

    @contextlib.asynccontextmanager
    async def child(self) -> AsyncIterator[Child]:
        """A warm child of one's own. It is killed if the body is cancelled or the child died, else given back."""
        async with self._free:
            child = await self._take()
            self.busy.add(child)
            whole = False
            try:
                yield child
                whole = True
            except (Refused, ChildBroke):
                whole = True
                raise
            finally:
                self.busy.discard(child)
                await asyncio.shield(self._give_back(child, whole=whole))

    async def _take(self) -> Child:
        while self._starting and not self._idle:
            await asyncio.wait(self._starting)
        while self._idle:
            child = self._idle.pop()
            if child.process.poll() is None:
                return child
            await child.kill()  # it died while idle: reap it
        try:
            return await Child.start(self.key, self._policy.load_timeout)
        except (EngineUnavailable, OSError) as error:  # it has started before: nothing that a caller could mend
            raise EngineDown(f"engine {self.key.engine} cannot be started: {error}") from error

    async def _give_back(self, child: Child, *, whole: bool) -> None:
        child.tasks += 1
        worn = child.tasks >= self._policy.recycle_after or child.rss > self._policy.max_rss
        if whole and not worn and not self._closed:
            self._idle.append(child)
            return
        await child.kill()
        if not self._closed:
            refill = asyncio.create_task(self._refill())
            self._starting.add(refill)
            refill.add_done_callback(self._starting.discard)

    async def _refill(self) -> None:
        try:
            self._idle.append(await Child.start(self.key, self._policy.load_timeout))
        except (EngineUnavailable, OSError) as error:
            _log.error("engine cannot be restarted", extra={"engine": self.key.engine, "why": str(error)})

    async def close(self) -> None:
        self._closed = True
        for task in tuple(self._starting):
            task.cancel()
        for child in (*self._idle, *self.busy):
            await child.kill()
        self._idle.clear()


class Pool:
    """Warm children for every key that was asked for."""

    def __init__(self, policy: PoolPolicy | None = None) -> None:
        self._policy = policy or PoolPolicy()
        self._teams: dict[m.EngineKey, _Team] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="inference-pool", daemon=True)
        self._thread.start()

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def warm(self, key: m.EngineKey, slots: int) -> None:
        """Start *slots* children of *key* and wait for them. Raises `EngineUnavailable`."""
        self._submit(self._warm(key, slots)).result()

    async def _warm(self, key: m.EngineKey, slots: int) -> None:
        team = _Team(key, slots, self._policy)
        await team.warm()
        self._teams[key] = team

    def alive(self) -> bool:
        """Whether every team that was asked for has a child at work, at rest or on its way."""
        return self._thread.is_alive() and bool(self._teams) and all(team.alive for team in self._teams.values())

    def occupancy(self) -> dict[str, tuple[int, int]]:
        """Busy and all slots, by engine."""
        return {key.engine: (len(team.busy), team.slots) for key, team in self._teams.items()}

    def busy_pids(self) -> list[int]:
        """Processes at work now; for the operator and for fault tests."""
        return [child.process.pid for team in self._teams.values() for child in team.busy]

    async def run(self, key: m.EngineKey, task: Task, listen: Listener) -> Outcome:
        """*task* done by a child of *key*; cancelling kills the child.

        Raises `Refused` (the caller's fault), `ChildDied` (worth another try), `ChildBroke` (our bug), `EngineDown` (wait).
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
        async with self._teams[key].child() as child:
            await self._ask(child, task)
            return await self._follow(child, listen)

    async def _ask(self, child: Child, task: Task) -> None:
        for message, payload in ((task.message, b""), *task.windows):
            async with self._watched():
                await child.say(message, payload)

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """The body may wait for the child as long as a silence may last. Raises `ChildDied` after that."""
        try:
            async with asyncio.timeout(self._policy.stall_timeout):
                yield
        except TimeoutError as error:
            raise ChildDied(f"no sign of life for {self._policy.stall_timeout:.0f} s") from error

    async def _follow(self, child: Child, listen: Listener) -> Outcome:
        while True:
            async with self._watched():
                message, payload = await child.hear()
            match message:
                case m.Finished():
                    child.rss = message.rss
                    return Outcome(finished=message, payload=payload)
                case m.Declined():
                    raise Refused(message.refusal, message.why, at=message.at)
                case m.Broken():
                    raise ChildBroke(message.error)
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

    async def _close(self) -> None:
        for team in self._teams.values():
            await team.close()
        self._teams.clear()
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
