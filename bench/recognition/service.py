"""Transcribes a file as the service does: in a process of the inference pool, as in `sottovoce transcribe`."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import bare, machine
from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.errors import Refused
from sottovoce.inference import messages as m
from sottovoce.inference.pool import (
    EngineMisconfigured,
    EngineTemporarilyUnavailable,
    Outcome,
    Pool,
    PoolPolicy,
    ProcessDied,
    Task,
    TaskCrashed,
)
from sottovoce.request import TranscriptionRequest, VocabEntry
from sottovoce.transcript import codec
from sottovoce.transcript.entities.items import as_spoken
from sottovoce.transcript.model import RATE, Attaches, Item, Mark

FAULTS = (Refused, ProcessDied, TaskCrashed, EngineMisconfigured, EngineTemporarilyUnavailable)
"""The errors that the pool raises when a file cannot be transcribed."""

_TICKS = os.sysconf("SC_CLK_TCK")


def lasting_pool(engine_config: EngineConfig, slots: int) -> Pool:
    """A pool that replaces no child, so that the same processes serve all files."""
    return Pool(PoolPolicy(recycle_after=sys.maxsize, max_rss=sys.maxsize), engine_config, slots=slots)


def task(path: Path, language: str, vocab: Sequence[str] = ()) -> Task:
    """The transcription of *path* with the custom words *vocab*."""
    entries = tuple(VocabEntry(content=word) for word in vocab)
    request = TranscriptionRequest(language=language, additional_vocab=entries)
    return Task(message=m.Transcribe(path=str(path.resolve()), request=request))


class Service:
    """One warm child of the inference pool with the chosen engine. Raises `EngineUnavailable`."""

    def __init__(self, choice: registry.Choice, engine_config: EngineConfig) -> None:
        self._key = choice.key
        self._pool = lasting_pool(engine_config, 1)
        self.pid = 0
        """The child's process id, once it has worked."""
        self._before = 0.0
        try:
            self._pool.prestart(self._key, 1)
        except BaseException:
            self._pool.close()
            raise

    def transcribe(self, path: Path, language: str, vocab: Sequence[str] = ()) -> bare.Run:
        """The service's transcript of *path*. Raises the pool's errors."""
        self._before = cpu_seconds(self.pid) if self.pid else 0.0
        begun = time.monotonic()
        outcome = self._pool.run_blocking(self._key, task(path, language, vocab), self._listen)
        wall = time.monotonic() - begun
        return run_of(outcome, cpu_seconds(self.pid) - self._before, wall, machine.peak_rss(self.pid))

    def _listen(self, _message: m.Message, _payload: bytes) -> None:
        """Store the process id from the first message of a task; called on the pool's thread."""
        busy = self._pool.busy_pids()
        if busy and self.pid != busy[0]:
            self.pid, self._before = busy[0], cpu_seconds(busy[0])

    def close(self) -> None:
        """End the child."""
        self._pool.close()


def run_of(outcome: Outcome, cpu: float, wall: float, peak: int) -> bare.Run:
    """The transcript of *outcome* as words and text."""
    items = tuple(as_spoken(codec.decode(outcome.payload).items))  # references have the words that are said
    words = tuple(
        bare.Spoken(text=item.text, confidence=item.confidence, start=item.start / RATE)
        for item in items
        if not isinstance(item, Mark)
    )
    return bare.Run(words=words, cpu=cpu, wall=wall, peak=peak, text=_written(items))


def _written(items: Sequence[Item]) -> str:
    """The transcript's text with its marks."""
    text = ""
    glued = True
    for item in items:
        attaches = item.attaches if isinstance(item, Mark) else Attaches.NONE
        text += ("" if glued or attaches in (Attaches.PREVIOUS, Attaches.BOTH) else " ") + item.text
        glued = attaches in (Attaches.NEXT, Attaches.BOTH)
    return text


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time that *pid* has used, all threads, kernel included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
