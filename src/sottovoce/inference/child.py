"""One child process as its parent sees it: started, spoken to, killed.

PDEATHSIG is bound to the thread that starts a child: everything here belongs on the pool's permanent thread.
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

from pydantic import TypeAdapter

from sottovoce.engines.config import EngineConfig
from sottovoce.errors import EngineUnavailable
from sottovoce.inference import messages as m

_log = logging.getLogger(__name__)
_LAST_WORDS = 1.0  # seconds: what a dying process wrote to its standard error is worth reading
_SETUP = TypeAdapter(EngineConfig)


class ProcessDied(Exception):
    """The child ended, or was killed for silence, before its task was done. Trying again may help, or may not."""


_SECRET = re.compile(
    r"^(SOTTOVOCE|AWS|AZURE|GOOGLE|PG)|SECRET|TOKEN|PASSW|CREDENTIAL|API_?KEY|DATABASE_URL", re.IGNORECASE
)
"""Environment variables that a child does not get: it gets a file to read, never a credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnSpec:
    """What a child is to be: which engine, on which very device, with which setup; *timeout* in seconds to load it.

    *share*: the descriptor of the memory that says how many pieces of a job it may work on at once (`Share`).
    """

    key: m.EngineKey
    device: str
    engine_config: EngineConfig
    timeout: float
    share: int


def _spawn(birth: SpawnSpec, line: socket.socket) -> "subprocess.Popen[bytes]":
    """The process of a new child, which speaks on *line*. To be called on the pool's thread: PDEATHSIG is bound to it."""
    environment = {name: value for name, value in os.environ.items() if not _SECRET.search(name)}
    # -P: what lies in the working directory must not be taken for a module
    command = [sys.executable, "-P", "-m", "sottovoce.inference.host", str(line.fileno()), str(os.getpid())]
    return subprocess.Popen(
        [
            *command,
            str(birth.share),
            birth.key.engine,
            birth.key.model,
            birth.device,
            _SETUP.dump_json(birth.engine_config).decode(),
        ],
        pass_fds=[line.fileno(), birth.share],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # onnxruntime reports its use to its makers (1.31.1, seen with strace: a device id in ~/.cache, an HTTPS collector)
        # MKL keeps freed memory for itself: 40 MB of a process with Whisper base
        env={
            **environment,
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "ORT_DISABLE_TELEMETRY": "1",
            "MKL_DISABLE_FAST_MM": "1",
        },
        start_new_session=True,
    )


class Child:
    """One process and the line to it. Lives on the pool's loop."""

    def __init__(
        self,
        birth: SpawnSpec,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.key = birth.key
        self.device = birth.device
        self.process = process
        self.tasks = 0
        self.idle_since = time.monotonic()
        self._reader = reader
        self._writer = writer
        self._errors = asyncio.create_task(self._log_errors())

    @classmethod
    async def start(cls, birth: SpawnSpec) -> "Child":
        """A child with its engine loaded. Raises `EngineUnavailable` when it cannot load, `OSError` when none can be made."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                reader, writer = await asyncio.open_unix_connection(sock=ours)
            except BaseException:
                ours.close()
                raise
            try:
                process = _spawn(birth, theirs)
            except BaseException:
                writer.close()
                raise
        child = cls(birth, process, reader, writer)
        try:
            async with asyncio.timeout(birth.timeout):
                message, _ = await child.receive()
        except (TimeoutError, ProcessDied) as error:
            await child.kill()
            raise EngineUnavailable(f"engine {birth.key.engine} did not start", at=None) from error
        except BaseException:
            await child.kill()
            raise
        if isinstance(message, m.Broken):
            await child.kill()
            raise EngineUnavailable(message.why or f"engine {birth.key.engine} did not start", at=None)
        return child

    @property
    def alive(self) -> bool:
        """Whether the process is there; one that ended is reaped."""
        return self.process.poll() is None

    def resident(self) -> int:
        """Resident bytes of the process now; 0 when it has ended."""
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
        """The next frame. Raises `ProcessDied`."""
        try:
            header, payload = m.lengths(await self._reader.readexactly(m.PREFIX))
            message = m.decode(await self._reader.readexactly(header))
            return message, await self._reader.readexactly(payload)
        except (asyncio.IncompleteReadError, ConnectionError, OSError) as error:
            raise ProcessDied(self._ending()) from error
        except ValueError as error:  # no frame of ours: whatever wrote this cannot be trusted with the line
            raise ProcessDied(f"pid {self.process.pid} broke the line: {type(error).__name__}") from error

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
