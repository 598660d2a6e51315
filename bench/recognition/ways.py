"""The service and the direct call seen alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench import bare
from bench.recognition.plan import Pair
from bench.recognition.service import FAULTS


class Transcriber(Protocol):
    """What the service and the direct call have in common."""

    def __call__(self, path: Path, language: str, vocab: Sequence[str] = (), /) -> bare.Run:
        """What is heard in *path*, with the custom words *vocab*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One of the two ways: how it transcribes, which process works, and what counts as a failed file."""

    transcribe: Transcriber
    pid: Callable[[], int]
    faults: tuple[type[Exception], ...]


def ways_of(both: Pair) -> dict[str, Way]:
    """The ways of *both* by name: `service`, and `baseline` where there is one."""
    service, direct = both.service, both.direct
    ways = {"service": Way(transcribe=service.transcribe, pid=lambda: service.pid, faults=FAULTS)}
    if direct:
        ways["baseline"] = Way(transcribe=direct.transcribe, pid=lambda: direct.pid, faults=(Exception,))
    return ways
