"""All stages that produce a result beside the items of a transcript (a summary, a list of events), each failing alone.

They run when the transcript is otherwise complete. A result is stored in `Transcript.results`; the formats that show it look
it up by name. A stage that fails leaves a `StageError` in the transcript, and its cause is reported.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sottovoce.pipeline.engine_set import EngineSet
from sottovoce.pipeline.results.stage import ResultContext, ResultStage
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import StageError, StageResult, Transcript

RESULT_STAGES: tuple[ResultStage, ...] = ()
"""Every stage, in the order in which they run."""


def add_results(
    context: ResultContext,
    engines: EngineSet,
    begins: Callable[[str], None],
    failed: Callable[[str, Exception], None],
) -> Transcript:
    """Return the transcript of *context* with the results and errors of the stages that its request asks for.

    *begins* receives the name of each stage, *failed* the name of a stage that fails, and the error.
    """
    transcript = context.transcript
    for stage in _asked(context.request):
        begins(stage.name)
        try:
            value = stage.run(replace(context, transcript=transcript, engine=_engine(stage, engines)))
        except Exception as error:  # noqa: BLE001 - one failing stage must not fail the transcript
            failed(stage.name, error)
            fault = StageError(feature=stage.feature, type="failed", message=stage.failed)
            transcript = replace(transcript, errors=(*transcript.errors, fault))
        else:
            result = StageResult(name=stage.name, value=value)
            transcript = replace(transcript, results=(*transcript.results, result))
    return transcript


def _asked(request: TranscriptionRequest) -> Iterator[ResultStage]:
    return (stage for stage in RESULT_STAGES if stage.asked(request))


def _engine(stage: ResultStage, engines: EngineSet) -> Any:
    if stage.skill is None:
        return None
    engine = engines.get(stage.skill)
    if engine is None:
        raise LookupError(f"no engine with the skill {stage.skill}")
    return engine
