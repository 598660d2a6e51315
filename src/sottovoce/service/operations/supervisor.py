"""Supervisor of several servers on one machine, one per region: starts, watches, restarts and stops them.

Each server is a separate process, because a process serves one queue (design §4) and the crash of one region must not affect
another. The servers end with this process: each asks the kernel for that (`inference.frame_socket.die_with_parent`), so they
must be started on the main thread.
"""

import asyncio
import contextlib
import logging
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_log = logging.getLogger(__name__)

LISTENING = re.compile(r"\blistening on (\S+)")
"""The line that a server writes to its standard output once it accepts connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionProcess:
    """The command and environment of the server of *region*."""

    region: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """Restart pauses and stop time, in seconds.

    The pause before a restart doubles from *first* to *longest*, and is *first* again for a server that ran for *steady*.
    After *grace*, servers that have not stopped are killed.
    """

    first: float = 1.0
    longest: float = 60.0
    steady: float = 60.0
    grace: float = 60.0

    def after(self, pause: float, lasted: float) -> float:
        """Return the pause after a run of *lasted* seconds; *pause*: the previous pause (0: none)."""
        return self.first if lasted >= self.steady else min(max(self.first, 2 * pause), self.longest)


class Supervisor:
    """Keeps *trees* running. *say* gets the region and each line of its server's standard output."""

    def __init__(
        self, trees: Sequence[RegionProcess], say: Callable[[str, str], None], patience: RestartPolicy
    ) -> None:
        self._patience = patience
        self._stopping = asyncio.Event()
        self._keepers = [_Keeper(tree, say, patience, self._stopping) for tree in trees]

    async def run(self) -> bool:
        """Run until SIGTERM or Ctrl-C. False if every server ended before it listened; then none is restarted.

        The first server is started alone: in a new folder it creates the control database and the keys that the others use.
        """
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stop, name)
        async with asyncio.TaskGroup() as group:
            for keeper in self._keepers:
                group.create_task(keeper.keep())
                if keeper is self._keepers[0]:
                    await keeper.settled.wait()
            for keeper in self._keepers:
                await keeper.settled.wait()
            if self._stopping.is_set() or any(keeper.listened for keeper in self._keepers):
                return True  # leaving the task group waits until all servers have ended
            self._stopping.set()
        return False

    def _stop(self, name: signal.Signals) -> None:
        """Send SIGTERM to the servers; a second signal is passed on unchanged, and makes them stop draining."""
        again = self._stopping.is_set()
        self._stopping.set()
        for keeper in self._keepers:
            keeper.signal(name if again else signal.SIGTERM)
        if not again:
            asyncio.get_running_loop().call_later(self._patience.grace, self._kill)

    def _kill(self) -> None:
        for keeper in self._keepers:
            keeper.signal(signal.SIGKILL)


class _Keeper:
    """Keeps one server running until *stopping*. *settled* is set once the server has listened or ended."""

    def __init__(
        self, tree: RegionProcess, say: Callable[[str, str], None], patience: RestartPolicy, stopping: asyncio.Event
    ) -> None:
        self.settled = asyncio.Event()
        self.listened = False
        self._tree = tree
        self._say = say
        self._patience = patience
        self._stopping = stopping
        self._process: asyncio.subprocess.Process | None = None

    def signal(self, name: signal.Signals) -> None:
        """Send the signal to the server if it runs."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(name)

    async def keep(self) -> None:
        """Start the server, and restart it each time it ends."""
        pause = 0.0
        while not self._stopping.is_set():
            begun = time.monotonic()
            code = await self._run()
            self.settled.set()
            if self._stopping.is_set():
                return
            pause = self._patience.after(pause, time.monotonic() - begun)
            _log.warning("region ended", extra={"region": self._tree.region, "code": code, "again_in": pause})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
        self.settled.set()

    async def _run(self) -> int | str:
        """Run the server once. Returns its exit status, or the error if it could not be started."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._tree.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                env=self._tree.environment,
                start_new_session=True,  # the terminal must not send Ctrl-C to the server too
            )
        except OSError as error:
            return str(error)
        self._process = process
        if self._stopping.is_set():  # the stop came while the process was being created
            self.signal(signal.SIGTERM)
        listening = asyncio.create_task(self._listen(process.stdout))
        try:
            return await process.wait()
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def _listen(self, output: asyncio.StreamReader | None) -> None:
        """Read the server's output to the end, and pass it on: a full pipe would block the server."""
        while output is not None:
            try:
                line = await output.readline()
            except ValueError:  # the line exceeds the reader's limit; the reader has dropped it
                continue
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip("\n")
            self._say(self._tree.region, text)
            if not self.listened and LISTENING.search(text):
                self.listened = True
                self.settled.set()
                _log.info("region up", extra={"region": self._tree.region})
