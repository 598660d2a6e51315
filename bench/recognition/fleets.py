"""Runs several processes at once: the pool with its slots, and the same number of processes of the engine called directly."""

import contextlib
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench import bare, machine
from bench.manifest import Wrong
from bench.recognition.service import FAULTS, cpu_seconds, lasting_pool, task
from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.inference import messages as m


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """The cost of a batch of files: seconds of wall time, and of processor time in all processes."""

    wall: float
    cpu: float


class Fleet(Protocol):
    """Warm processes that transcribe files side by side."""

    @property
    def pids(self) -> Sequence[int]:
        """The processes that have been at work."""

    def run(self, paths: Sequence[Path], language: str) -> None:
        """Transcribe *paths*, one per slot at a time. Raises Wrong if one of them fails."""

    def close(self) -> None:
        """End the processes."""


def lap(fleet: Fleet, paths: Sequence[Path], language: str) -> Lap:
    """Run *paths* through *fleet*, whose processes are all warm."""
    cpu, begun = _cpu(fleet), time.monotonic()
    fleet.run(paths, language)
    return Lap(wall=time.monotonic() - begun, cpu=_cpu(fleet) - cpu)


def _cpu(fleet: Fleet) -> float:
    return sum(cpu_seconds(pid) for pid in fleet.pids)


def memory(fleet: Fleet) -> dict[str, Any]:
    """Resident megabytes of the largest process of *fleet* at rest, and the highest peak of any process."""
    return {
        "rest_mb": max(machine.rss(pid) for pid in fleet.pids) / 1e6,
        "peak_mb": max(machine.peak_rss(pid) for pid in fleet.pids) / 1e6,
    }


class Slots:
    """The service's pool with *slots* children. Raises `EngineUnavailable`."""

    def __init__(self, choice: registry.Choice, engine_config: EngineConfig, slots: int) -> None:
        self._key = choice.key
        self._slots = slots
        self._pids: set[int] = set()
        self._pool = lasting_pool(engine_config, slots)
        try:
            self._pool.prestart(self._key, slots)
        except BaseException:
            self._pool.close()
            raise

    @property
    def pids(self) -> Sequence[int]:
        """The children that have been at work."""
        return sorted(self._pids)

    def run(self, paths: Sequence[Path], language: str) -> None:
        """Transcribe *paths*. Raises Wrong when one of them cannot be."""
        _spread([lambda path: self._one(path, language)] * self._slots, paths, FAULTS)

    def _one(self, path: Path, language: str) -> None:
        self._pool.run_blocking(self._key, task(path, language), self._listen)

    def _listen(self, _message: m.Message, _payload: bytes) -> None:
        self._pids.update(self._pool.busy_pids())

    def close(self) -> None:
        """End the children."""
        self._pool.close()


class Processes:
    """*count* processes with the direct call of *wanted*. Raises what the engine raises."""

    def __init__(self, wanted: bare.Wanted, count: int) -> None:
        with contextlib.ExitStack() as stack:
            self._processes = [stack.enter_context(contextlib.closing(bare.Bare(wanted))) for _ in range(count)]
            self._stack = stack.pop_all()

    @property
    def pids(self) -> Sequence[int]:
        """All processes."""
        return [process.pid for process in self._processes]

    def run(self, paths: Sequence[Path], language: str) -> None:
        """Transcribe *paths*. Raises Wrong when one of them cannot be."""
        _spread([_caller(process, language) for process in self._processes], paths, (Exception,))

    def close(self) -> None:
        """End the processes."""
        self._stack.close()


def _caller(process: bare.Bare, language: str) -> Callable[[Path], object]:
    return lambda path: process.transcribe(path, language)


def _spread(
    workers: Sequence[Callable[[Path], object]], paths: Sequence[Path], faults: tuple[type[Exception], ...]
) -> None:
    """Each of *workers* takes the next of *paths* whenever it is free."""
    waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for path in paths:
        waiting.put(path)

    def work(worker: Callable[[Path], object]) -> None:
        for path in _taken(waiting):
            try:
                worker(path)
            except faults as fault:
                raise Wrong(f"{path.name} cannot be transcribed: {fault}") from fault

    with ThreadPoolExecutor(len(workers)) as threads:
        for done in [threads.submit(work, worker) for worker in workers]:
            done.result()


def _taken(waiting: "queue.SimpleQueue[Path]") -> Iterator[Path]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield waiting.get_nowait()
