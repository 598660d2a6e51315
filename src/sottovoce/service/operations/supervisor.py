"""Several servers on one machine, one a region: started, watched, started again when they end, and stopped together.

Each is a process of its own: a process serves one queue (design §4), and the death of one region must not touch another. They die
with this one: each asks the kernel for that (`inference.host.die_with_parent`), so they must be started on the main thread.
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
"""What a server says on its standard output once it takes connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionProcess:
    """The server of *region*, with all that it starts: what to run, in which environment."""

    region: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """Seconds. The pause before a server that ended is started again doubles from *first* to *longest*, and begins anew for one
    that was up for *steady*. A stop may take *grace*: whatever is left then is killed.
    """

    first: float = 1.0
    longest: float = 60.0
    steady: float = 60.0
    grace: float = 60.0

    def after(self, pause: float, lasted: float) -> float:
        """The pause after a server that was up for *lasted*, the one before it being *pause* (0: there was none)."""
        return self.first if lasted >= self.steady else min(max(self.first, 2 * pause), self.longest)


class Supervisor:
    """Keeps *trees* running. *say* gets each line of their standard outputs, with the region."""

    def __init__(
        self, trees: Sequence[RegionProcess], say: Callable[[str, str], None], patience: RestartPolicy
    ) -> None:
        self._patience = patience
        self._stopping = asyncio.Event()
        self._keepers = [_Keeper(tree, say, patience, self._stopping) for tree in trees]

    async def run(self) -> bool:
        """Run until SIGTERM or Ctrl-C. False: every one of them ended before it had ever listened, and they were given up.

        The first is started alone: on a new folder it makes the control database and the key, which the others find.
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
                return True  # once all have ended
            self._stopping.set()
        return False

    def _stop(self, name: signal.Signals) -> None:
        """Pass the wish on; a second Ctrl-C as what it is, for which servers break off what they drain."""
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
    """Keeps one tree running until *stopping*. *settled* is set once it has listened, or ended without."""

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
        """Send it to the server, if there is one."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(name)

    async def keep(self) -> None:
        """Start the server, and again whenever it ends."""
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
        """One life of the server: its exit status, or why it could not even be started."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._tree.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                env=self._tree.environment,
                start_new_session=True,  # a Ctrl-C is passed on by us, once
            )
        except OSError as error:
            return str(error)
        self._process = process
        if self._stopping.is_set():  # meanwhile: it was not there to be told
            self.signal(signal.SIGTERM)
        listening = asyncio.create_task(self._listen(process.stdout))
        try:
            return await process.wait()
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def _listen(self, output: asyncio.StreamReader | None) -> None:
        """Pass on what the server says, to the end: one that nobody listens to would stand still at last."""
        while output is not None:
            try:
                line = await output.readline()
            except ValueError:  # longer than the reader takes; it has dropped it
                continue
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip("\n")
            self._say(self._tree.region, text)
            if not self.listened and LISTENING.search(text):
                self.listened = True
                self.settled.set()
                _log.info("region up", extra={"region": self._tree.region})
