"""The parent's handle of one child process: start it, exchange frames, kill it. In order: `SpawnSpec`; `Child`.

PDEATHSIG is bound to the thread that starts a child, so everything here runs on the pool's permanent thread.
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
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.errors import EngineUnavailable
from sottovoce.inference import messages as m

_log = logging.getLogger(__name__)
_LAST_WORDS = 1.0  # seconds to wait for the rest of a killed process's standard error
_ENGINE_CONFIG = TypeAdapter(EngineConfig)


class ProcessDied(Exception):
    """The child ended, or was killed for a stall, before its task was done. A retry may succeed."""


_SECRET = re.compile(
    r"^(SOTTOVOCE|AWS|AZURE|GOOGLE|PG)|SECRET|TOKEN|PASSW|CREDENTIAL|API_?KEY|DATABASE_URL", re.IGNORECASE
)
"""Environment variables that are withheld from children: a child reads a file and needs no credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnSpec:
    """How to start a child: engine and model, the exact device, the configuration; *timeout*: seconds to load the engine.

    *share*: the descriptor of the shared memory with its degree of parallelism (`Share`). *role*: `batch` (runs one task after
    another), `live` (holds live sessions), or `translate` (translates for live sessions).
    """

    key: EngineKey
    device: str
    engine_config: EngineConfig
    timeout: float
    share: int
    role: Literal["batch", "live", "translate"] = "batch"


def _spawn(spec: SpawnSpec, line: socket.socket) -> "subprocess.Popen[bytes]":
    """Start a child process that exchanges frames on *line*. Call it on the pool's thread, to which PDEATHSIG is bound."""
    environment = {name: value for name, value in os.environ.items() if not _SECRET.search(name)}
    # -P: do not import modules from the working directory
    command = [sys.executable, "-P", "-m", "sottovoce.inference.host", str(line.fileno()), str(os.getpid())]
    return subprocess.Popen(
        [
            *command,
            str(spec.share),
            spec.role,
            spec.key.engine,
            spec.key.model,
            spec.device,
            _ENGINE_CONFIG.dump_json(spec.engine_config).decode(),
        ],
        pass_fds=[line.fileno(), spec.share],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # onnxruntime 1.31.1 sends telemetry (seen with strace: a device id in ~/.cache, an HTTPS collector)
        # MKL does not return freed memory: 40 MB in a process with Whisper base
        # oneDNN keeps the code that it made for each of the last 1,024 shapes, and windows differ in length: an hour of speech
        # made a process with Whisper base grow from 380 to 540 MB; with 16 it stays at 270 to 360, as fast as before
        env={
            **environment,
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "ORT_DISABLE_TELEMETRY": "1",
            "MKL_DISABLE_FAST_MM": "1",
            "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
        },
        start_new_session=True,
    )


class Child:
    """One child process and the socket to it. Use it on the pool's event loop."""

    def __init__(
        self,
        spec: SpawnSpec,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.key = spec.key
        self.device = spec.device
        self.process = process
        self.decode: float | None = None  # processor seconds of a decode of a live session
        self.tasks = 0
        self.idle_since = time.monotonic()
        self._reader = reader
        self._writer = writer
        self._errors = asyncio.create_task(self._log_errors())

    @classmethod
    async def start(cls, spec: SpawnSpec) -> "Child":
        """Start a child and wait until its engine is loaded.

        Raises `EngineUnavailable` if the engine cannot be loaded, `OSError` if no process can be started.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                reader, writer = await asyncio.open_unix_connection(sock=ours)
            except BaseException:
                ours.close()
                raise
            try:
                process = _spawn(spec, theirs)
            except BaseException:
                writer.close()
                raise
        child = cls(spec, process, reader, writer)
        try:
            async with asyncio.timeout(spec.timeout):
                message, _ = await child.receive()
        except (TimeoutError, ProcessDied) as error:
            await child.kill()
            raise EngineUnavailable(f"engine {spec.key.engine} did not start", at=None) from error
        except BaseException:
            await child.kill()
            raise
        if isinstance(message, m.Broken):
            await child.kill()
            raise EngineUnavailable(message.why or f"engine {spec.key.engine} did not start", at=None)
        child.decode = message.decode if isinstance(message, m.Ready) else None
        return child

    @property
    def alive(self) -> bool:
        """True if the process is running; a process that has ended is reaped."""
        return self.process.poll() is None

    def resident(self) -> int:
        """Return the resident memory of the process in bytes; 0 when it has ended."""
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    async def send(self, message: m.Message, payload: bytes = b"") -> None:
        """Send one frame. Raises `ProcessDied`."""
        try:
            self._writer.write(m.encode(message, payload))
            await self._writer.drain()
        except (ConnectionError, OSError) as error:
            raise ProcessDied(self._ending()) from error

    async def receive(self) -> tuple[m.Message, bytes]:
        """Return the next frame. Raises `ProcessDied`, also for an invalid frame."""
        try:
            header, payload = m.lengths(await self._reader.readexactly(m.PREFIX))
            message = m.decode(await self._reader.readexactly(header))
            return message, await self._reader.readexactly(payload)
        except (asyncio.IncompleteReadError, ConnectionError, OSError) as error:
            raise ProcessDied(self._ending()) from error
        except ValueError as error:  # the frame borders are lost, so the socket cannot be used any more
            raise ProcessDied(f"pid {self.process.pid} sent an invalid frame: {type(error).__name__}") from error

    def _ending(self) -> str:
        code = self.process.poll()
        return f"pid {self.process.pid} ended" + (f" with code {code}" if code is not None else "")

    async def kill(self) -> None:
        """Kill the process and everything it started, and reap it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._writer.close()  # before the first wait, at which this may be cancelled
        await asyncio.to_thread(self.process.wait)
        await asyncio.wait({self._errors}, timeout=_LAST_WORDS)
        with contextlib.suppress(asyncio.CancelledError, OSError):
            self._errors.cancel()
            await self._errors
        if self.process.stderr:
            self.process.stderr.close()

    async def _log_errors(self) -> None:
        """Log each line that the child's libraries write to stderr, cut to 1,000 characters."""
        reader = asyncio.StreamReader(limit=1 << 16)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self.process.stderr
        )
        try:
            while not reader.at_eof():
                if line := await _line(reader):
                    extra = {"engine": self.key.engine, "pid": self.process.pid, "text": line[:1000]}
                    _log.info("engine says", extra=extra)
        finally:
            transport.close()


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readline()).decode("utf-8", "replace").rstrip("\n")
    except ValueError:  # longer than the limit; the reader has dropped it
        return "(a line longer than 64 KiB)"
