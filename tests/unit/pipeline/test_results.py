"""Stages that produce results: a toy stage with an engine of its own, from the request to the transcript that clients read."""

from dataclasses import replace
from pathlib import Path

import pytest

from sottovoce.engines import resolution
from sottovoce.engines.protocols import Capabilities, Skill
from sottovoce.engines.registry import Choice
from sottovoce.engines.resolution import Need, Resolved
from sottovoce.errors import EngineUnavailable
from sottovoce.job import State
from sottovoce.pipeline import batch
from sottovoce.pipeline.engine_set import LoadedEngines
from sottovoce.pipeline.results import table as results
from sottovoce.pipeline.results.stage import ResultContext, ResultStage
from sottovoce.request import Diarization, Summarization, TranscriptionRequest
from sottovoce.service.jobs import capabilities
from sottovoce.transcript import codec
from sottovoce.transcript.model import StageError, StageResult, Transcript
from sottovoce.wire.formats import json_v2
from sottovoce.wire.v2.job import JobView
from tests import sleeper
from tests.unit.pipeline.test_batch import Notebook, VadFactory, long_wav

__all__ = ["long_wav"]

ASKING = TranscriptionRequest(language="en", summarization=Summarization())


class Counter:
    """An engine for the toy stage."""

    def count(self, transcript: Transcript) -> int:
        return len(transcript.items)


def _count(context: ResultContext) -> object:
    context.alive()
    return {"content": f"{context.engine.count(context.transcript)} words"}


def _fail(context: ResultContext) -> object:
    raise RuntimeError(context.path.name)


STAGE = ResultStage(
    name="summary",
    feature="summarization",
    asked=lambda request: request.summarization is not None,
    run=_count,
    skill=Skill.DIARIZATION,
    failed="Summarization failed.",
)


def transcribe(path: Path, request: TranscriptionRequest, stage: ResultStage, monkeypatch, engine=None):
    monkeypatch.setattr(results, "RESULT_STAGES", (stage,))
    notebook = Notebook()
    engines = {Skill.TRANSCRIPTION: sleeper.Sleeper(0.0), Skill.DIARIZATION: engine}
    present = LoadedEngines({skill: each for skill, each in engines.items() if each is not None})
    work = batch.Work(path=path, request=request, clock=lambda: 0)
    return batch.transcribe(work, present, VadFactory, notebook), notebook


def body(transcript: Transcript) -> dict[str, object]:
    job = JobView(id="a", state=State.DONE, created_at=0, data_name="a.wav", duration_ms=1, config={})
    return json_v2.render(json_v2.Source(transcript=transcript, job=job, version="1"))


def test_a_result_is_stored_and_shown(long_wav, monkeypatch):
    transcript, _ = transcribe(long_wav, ASKING, STAGE, monkeypatch, Counter())
    stored = codec.decode(codec.encode(transcript))
    assert stored == transcript
    assert stored.results == (StageResult(name="summary", value={"content": f"{len(transcript.items)} words"}),)
    assert "summary" not in body(stored)
    monkeypatch.setitem(json_v2._RESULTS, "summary", "summary")
    assert body(stored)["summary"] == {"content": f"{len(transcript.items)} words"}


def test_a_stage_that_is_not_asked_for_does_not_run(long_wav, monkeypatch):
    transcript, _ = transcribe(long_wav, replace(ASKING, summarization=None), STAGE, monkeypatch, Counter())
    assert (transcript.results, transcript.errors) == ((), ())


@pytest.mark.parametrize(
    ("stage", "engine"), [(replace(STAGE, run=_fail), Counter()), (STAGE, None)], ids=["a bug", "no engine"]
)
def test_a_stage_fails_alone(long_wav, monkeypatch, stage, engine):
    transcript, notebook = transcribe(long_wav, ASKING, stage, monkeypatch, engine)
    assert transcript.items
    assert transcript.errors == (StageError(feature="summarization", type="failed", message="Summarization failed."),)
    assert any(name == "summary" and "left out" in note for name, note in notebook.stages)


def test_a_stage_that_is_there_answers_for_its_feature(monkeypatch):
    nothing = Resolved(choices={})
    assert [error.feature for error in capabilities.missing(ASKING, nothing)] == ["summarization"]
    monkeypatch.setattr(capabilities, "RESULT_STAGES", (STAGE,))
    assert [error.feature for error in capabilities.missing(ASKING, nothing)] == ["summarization"]
    offer = Capabilities(engine="toy", model="", languages=frozenset())
    toy = Choice(engine="toy", model="", device="cpu", why="the only one", capabilities=offer)
    assert capabilities.missing(ASKING, Resolved(choices={Skill.DIARIZATION: toy})) == ()


SPEAKS = Capabilities(engine="one", model="m", languages=frozenset({"en"}))
SEPARATES = Capabilities(engine="two", model="", languages=frozenset(), skills=frozenset({Skill.DIARIZATION}))


def test_a_request_is_resolved_to_one_engine_for_each_skill():
    request = TranscriptionRequest(language="en", diarization=Diarization.SPEAKER)
    found = resolution.resolve(request, (SEPARATES, SPEAKS))
    assert {skill: key.engine for skill, key in found.keys.items()} == {
        Skill.TRANSCRIPTION: "one",
        Skill.DIARIZATION: "two",
    }
    assert found.main.engine == "one"
    assert list(resolution.resolve(replace(request, diarization=Diarization.NONE), (SEPARATES, SPEAKS)).keys) == [
        Skill.TRANSCRIPTION
    ]
    assert list(resolution.resolve(request, (SPEAKS,)).keys) == [Skill.TRANSCRIPTION]
    with pytest.raises(EngineUnavailable):
        resolution.resolve(request, (SEPARATES,))


def test_a_new_need_reaches_the_map(monkeypatch):
    toy = Need(
        skill=Skill.ALIGNMENT,
        asked=lambda request: isinstance(request, TranscriptionRequest) and request.summarization is not None,
        choose=lambda _request, offers: Choice(
            engine="toy", model="", device="cpu", why="the only one", capabilities=offers[0]
        ),
    )
    monkeypatch.setattr(resolution, "NEEDS", (*resolution.NEEDS, toy))
    assert resolution.resolve(ASKING, (SPEAKS,)).keys[Skill.ALIGNMENT].engine == "toy"
