"""Runs the stages of speech intelligence over a finished transcript: each fails alone, and never costs the transcript.

A result is stored in `Transcript.results`; the formats that show it look it up by name. A stage that fails leaves a
`StageError` in the contract's words; its cause goes to the log and never into the transcript.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sottovoce.engines.gaps import TRANSLATION, GapKind, StageGap
from sottovoce.engines.protocols import Skill
from sottovoce.intelligence.protocols import Scene, Stage, StageRefused, UnsupportedLanguage, supports
from sottovoce.intelligence.sentences import sentences
from sottovoce.intelligence.stages import STAGES
from sottovoce.pipeline.engine_set import EngineSet
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import StageError, StageResult, Transcript

STAGES_BY_NAME = {stage.name: stage for stage in STAGES}
UNSUPPORTED = "unsupported_language"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultContext:
    """The input of the stages: track *track* of the media at *path*, the *request*, the finished *transcript*.

    *alive* must be called at least every few minutes: a process that reports nothing is ended.
    *gaps*: the stages that the server knows it cannot run.
    """

    path: Path
    request: TranscriptionRequest
    transcript: Transcript
    alive: Callable[[], None]
    track: int = 1
    gaps: tuple[StageGap, ...] = ()


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
        backend = self._engines.get(Skill(stage.name))
        if backend is None:
            raise LookupError(f"no engine with the skill {stage.name}")
        if not supports(backend, context.transcript.language):
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
    )


def add_results(
    context: ResultContext,
    runner: StageRunner,
    log: StageLog,
) -> Transcript:
    """Return the transcript of *context* with the results and errors of the stages that its request asks for."""
    transcript = context.transcript
    known = {gap.stage: gap for gap in context.gaps}
    for stage in (stage for stage in STAGES if stage.asked(context.request)):
        result, error = _outcome(stage, context, runner, known.get(stage.name), log)
        if error is not None:
            transcript = replace(transcript, errors=(*transcript.errors, error))
        if result is not None:
            transcript = replace(transcript, results=(*transcript.results, result))
    if gap := known.get(TRANSLATION):
        log.begins(TRANSLATION, gap.why)
        transcript = replace(transcript, errors=(*transcript.errors, *_untranslated(context)))
    return transcript


def _outcome(
    stage: Stage,
    context: ResultContext,
    runner: StageRunner,
    gap: StageGap | None,
    log: StageLog,
) -> tuple[StageResult | None, StageError | None]:
    """Return the result of *stage*, or the error that the transcript reports."""
    language = context.transcript.language
    begun = time.monotonic()
    try:
        stage.check(context.request)
        if gap is not None:
            log.begins(stage.name, gap.why)
        if gap is not None and gap.kind is not GapKind.PART:
            return _missing(stage, language, unsupported=gap.kind is GapKind.LANGUAGE)
        log.begins(stage.name, "begins")
        value = runner.run(stage, context)
    except StageRefused as refused:
        log.begins(stage.name, f"left out: {refused.message}")
        return None, _error(stage, refused.type, refused.message)
    except UnsupportedLanguage:
        log.begins(stage.name, f"left out: its backend does not support the language {language}")
        return _missing(stage, language, unsupported=True)
    except Exception as error:  # noqa: BLE001 - one failing stage must not fail the transcript
        log.failed(stage.name, error)
        return _missing(stage, language, unsupported=False)
    log.begins(stage.name, f"done in {time.monotonic() - begun:.1f} s")
    return StageResult(name=stage.name, value=value), None


def _missing(stage: Stage, language: str, *, unsupported: bool) -> tuple[StageResult | None, StageError | None]:
    """Return the error of a stage without a result; a stage without an error list gets its empty result."""
    if stage.feature is None:
        return StageResult(name=stage.name, value=stage.empty), None
    if unsupported:
        return None, _error(stage, UNSUPPORTED, stage.unsupported.format(language=language))
    return None, _error(stage, f"{stage.feature}_failed", stage.failed)


def _error(stage: Stage, type: str, message: str) -> StageError:  # noqa: A002 - the contract's word
    return StageError(feature=stage.feature or stage.name, type=type, message=message)


def _untranslated(context: ResultContext) -> Iterator[StageError]:
    """Yield the error of each target language (contract §7.3)."""
    for target in context.request.translation_targets:
        message = f"Translation from {context.transcript.language} to {target} currently not supported"
        yield StageError(feature=TRANSLATION, type="unsupported_translation_pair", message=message)
