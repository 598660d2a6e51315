"""The plan of a measurement, and the warm processes of both methods."""

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench import bare
from bench.manifest import Row
from bench.recognition.service import FAULTS, Service
from bench.recognition.times import Times
from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The subject of a measurement: *rows* with the engine of *choice*, and the direct call *method* (`none`: without one).

    *work*: a folder for generated audio.
    """

    options: argparse.Namespace
    choice: registry.Choice
    engine_config: EngineConfig
    method: str
    rows: Sequence[Row]
    known: Times
    work: Path

    def wanted(self, engine_config: EngineConfig | None = None) -> bare.Wanted:
        """The direct call, with *engine_config* in place of the plan's own."""
        return bare.Wanted(
            method=self.method,
            engine=self.choice.engine,
            model=self.choice.model,
            device=(engine_config or self.engine_config).devices[0],
            engine_config=engine_config or self.engine_config,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The service and the direct call, if there is one, each with one process that has all cores."""

    service: Service
    direct: bare.Bare | None


@contextlib.contextmanager
def pair(plan: Plan) -> Iterator[Pair]:
    """Load both methods of *plan*; they end with the context. Raises `EngineUnavailable`, and the engine's own errors."""
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(contextlib.closing(Service(plan.choice, plan.engine_config)))
        direct = None
        if plan.method != "none":
            direct = stack.enter_context(contextlib.closing(bare.Bare(plan.wanted())))
        yield Pair(service=service, direct=direct)


# ── both methods behind one interface ──


class Transcriber(Protocol):
    """The common interface of the service and the direct call."""

    def __call__(self, path: Path, language: str, vocab: Sequence[str] = (), /) -> bare.Run:
        """The words recognised in *path*, with the custom words *vocab*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One of the two methods: its call, its process, and the errors that count as a failed file."""

    transcribe: Transcriber
    pid: Callable[[], int]
    faults: tuple[type[Exception], ...]


def ways_of(both: Pair) -> dict[str, Way]:
    """The methods of *both* by name: `service`, and `baseline` if there is one."""
    service, direct = both.service, both.direct
    ways = {"service": Way(transcribe=service.transcribe, pid=lambda: service.pid, faults=FAULTS)}
    if direct:
        ways["baseline"] = Way(transcribe=direct.transcribe, pid=lambda: direct.pid, faults=(Exception,))
    return ways
