"""Runs the stages of speech intelligence over a finished transcript: each fails alone, and never costs the transcript.

A result is stored in `Transcript.results`; the formats that show it look it up by name. A stage that fails leaves a
`StageError` in the contract's words; its cause goes to the log and never into the transcript.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sottovoce.engines.gaps import GapKind, StageGap
from sottovoce.intelligence.protocols import Scene, Stage, StageRefused, UnsupportedLanguage, supports
from sottovoce.intelligence.sentences import sentences
from sottovoce.intelligence.stages import STAGES, StageName
from sottovoce.pipeline.engine_set import EngineSet
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import StageError, StageResult, Transcript

STAGES_BY_NAME = {stage.name: stage for stage in STAGES}
UNSUPPORTED = "unsupported_language"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultContext:
    """The input of the stages: track *track* of the media at *path*, the *request*, the finished *transcript*.

    *alive* must be called at least every few minutes: a process that reports nothing is ended.
    *gaps*: the stages that the server knows it cannot run. *part*: what the run is for, of a stage with parts.
    """

    path: Path
    request: TranscriptionRequest
    transcript: Transcript
    alive: Callable[[], None]
    track: int = 1
    gaps: tuple[StageGap, ...] = ()
    part: str = ""


class StageRunner(Protocol):
    """Where stages run. `run` raises `UnsupportedLanguage`, `StageRefused`, or anything else for a failure."""

    def run(self, stage: Stage, context: ResultContext) -> Any:
        """Return the result of *stage*, a value that JSON can represent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLog:
    """Where the progress of stages goes: *begins* receives a stage's name and a note, *failed* its name and its error."""

    begins: Callable[[str, str], None]
    failed: Callable[[str, Exception], None]


class InProcess:
    """Runs stages in this process, with *engines*: nothing stops one that hangs."""

    def __init__(self, engines: EngineSet) -> None:
        self._engines = engines

    def run(self, stage: Stage, context: ResultContext) -> Any:
        """Return the result of *stage*."""
        backend = self._engines.get(StageName(stage.name))
        if backend is None:
            raise LookupError(f"no engine with the skill {stage.name}")
        if not supports(backend, context.transcript.language):
            raise UnsupportedLanguage(context.transcript.language)
        if context.part and context.part not in backend.targets:
            raise UnsupportedLanguage(context.transcript.language)
        return stage.run(scene_of(context), backend)


def scene_of(context: ResultContext) -> Scene:
    """Return the input of a stage."""
    return Scene(
        transcript=context.transcript,
        sentences=sentences(context.transcript),
        request=context.request,
        path=context.path,
        alive=context.alive,
        track=context.track,
        part=context.part,
    )


def add_results(
    context: ResultContext,
    runner: StageRunner,
    log: StageLog,
) -> Transcript:
    """Return the transcript of *context* with the results and errors of the stages that its request asks for."""
    transcript = context.transcript
    known = {(gap.stage, gap.part): gap for gap in context.gaps}
    for stage in (stage for stage in STAGES if stage.asked(context.request)):
        found: dict[str, Any] = {}
        for part in stage.parts(context.request):
            run = replace(context, part=part)
            value, error = _outcome(stage, run, runner, known.get((stage.name, part)), log)
            if error is not None:
                transcript = replace(transcript, errors=(*transcript.errors, error))
            if value is not None:
                found[part] = value
        if found:
            result = StageResult(name=stage.name, value=found.get("", found))
            transcript = replace(transcript, results=(*transcript.results, result))
    return transcript


def _outcome(
    stage: Stage,
    context: ResultContext,
    runner: StageRunner,
    gap: StageGap | None,
    log: StageLog,
) -> tuple[Any | None, StageError | None]:
    """Return the result of one run of *stage*, or the error that the transcript reports."""
    begun = time.monotonic()
    into = f"{context.part}: " if context.part else ""
    try:
        stage.check(context.request)
        if (value := stage.direct(scene_of(context))) is not None:
            log.begins(stage.name, f"{into}the transcript itself")
            return value, None
        if gap is not None:
            log.begins(stage.name, gap.why)
        if gap is not None and gap.kind is not GapKind.PART:
            return _missing(stage, context, unsupported=gap.kind is GapKind.LANGUAGE)
        log.begins(stage.name, f"{into}begins")
        value = runner.run(stage, context)
    except StageRefused as refused:
        log.begins(stage.name, f"left out: {refused.message}")
        return None, _error(stage, refused.type, refused.message)
    except UnsupportedLanguage as error:
        why = error.why or f"its backend does not support the language {context.transcript.language}"
        log.begins(stage.name, f"{into}left out: {why}")
        return _missing(stage, context, unsupported=True)
    except Exception as error:  # noqa: BLE001 - one failing stage must not fail the transcript
        log.failed(stage.name, error)
        return _missing(stage, context, unsupported=False)
    log.begins(stage.name, f"{into}done in {time.monotonic() - begun:.1f} s")
    return value, None


def _missing(stage: Stage, context: ResultContext, *, unsupported: bool) -> tuple[Any | None, StageError | None]:
    """Return the error of a stage without a result; a stage without an error list gets its empty result."""
    if stage.feature is None:
        return stage.empty, None
    message = stage.unsupported if unsupported else stage.failed
    kind = stage.unsupported_type if unsupported else f"{stage.feature}_failed"
    return None, _error(stage, kind, message.format(language=context.transcript.language, part=context.part))


def _error(stage: Stage, type: str, message: str) -> StageError:  # noqa: A002 - the contract's word
    return StageError(feature=stage.feature or stage.name, type=type, message=message)
