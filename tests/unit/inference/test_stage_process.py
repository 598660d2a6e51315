"""Stages in their own process: one that hangs, crashes or answers nonsense costs nothing but its own result."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import AnySkill
from sottovoce.inference.stages.process import StageCrashed, StageProcess
from sottovoce.intelligence import sentiment, summary
from sottovoce.intelligence.protocols import UnsupportedLanguage
from sottovoce.intelligence.stages import STAGES, StageName
from sottovoce.pipeline.results import ResultContext, StageLog, add_results
from sottovoce.request import Summarization, TranscriptionRequest
from sottovoce.transcript.model import RATE
from tests import tiny_translator, tiny_whisper
from tests.stage_backends import NAME
from tests.unit.intelligence.talk import items, transcript

AUDIO = Path(__file__).parents[2] / "fixtures" / "audio" / "speech.flac"
DEADLINE = 6.0
ASKING = TranscriptionRequest(
    language="en",
    summarization=Summarization(),
    sentiment_analysis=True,
    topics=(),
    auto_chapters=True,
    audio_events=(),
)


def context(language="en", alive=lambda: None):
    talk = transcript(items("This is a wonderful day. The meeting is on Tuesday."), language=language)
    return ResultContext(path=AUDIO, request=ASKING, transcript=talk, alive=alive)


def test_each_of_five_stages_that_misbehave_differently_fails_alone(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]), prepend=":")
    engines: dict[AnySkill, EngineKey] = {StageName(stage.name): EngineKey(engine=NAME) for stage in STAGES}
    runner = StageProcess(engines, EngineConfig(stage_timeout=DEADLINE))
    signs: list[int] = []
    failures: dict[str, Exception] = {}
    begun = time.monotonic()
    asked = context(alive=lambda: signs.append(1))
    try:
        out = add_results(asked, runner, StageLog(begins=lambda *_: None, failed=failures.__setitem__))
    finally:
        runner.close()
    assert time.monotonic() - begun < 5 * DEADLINE
    assert [error.type for error in out.errors] == [
        "summarization_failed", "sentiment_analysis_failed", "topic_detection_failed", "auto_chapters_failed",
    ]  # fmt: skip
    assert isinstance(failures["sentiment"], TimeoutError)  # it hung, and was ended at its deadline
    assert len(signs) >= DEADLINE - 1  # meanwhile the job showed that it lives
    assert all(isinstance(failures[name], StageCrashed) for name in ("summary", "topics", "chapters"))
    assert "the process of the stage ended" in str(failures["summary"])
    assert "the true cause" in str(failures["chapters"])
    values: dict[str, Any] = {result.name: result.value for result in out.results}
    assert list(values) == ["audio_events"]  # the last stage is none the worse
    assert values["audio_events"]["events"][0]["type"] == "music"
    assert out.items == asked.transcript.items


def test_a_stage_that_hears_the_audio_has_time_for_it(tmp_path: Path):
    """An hour takes Whisper longer than every stage has; one that reads the text has the same time for any length."""
    text = tiny_translator.build(tmp_path / "de-fr", spm=True)
    config = EngineConfig(
        models=tiny_whisper.build(tmp_path / "models" / "whisper-mini").parent,
        stage_timeout=100.0,
        translators=(("de-fr", text),),
    )
    runner = StageProcess({}, config)
    hour = replace(context("de"), transcript=replace(context("de").transcript, duration=3600 * RATE))
    limits = {
        (stage.name, part): runner._limit(stage, replace(hour, part=part))
        for stage in STAGES
        for part in (("en", "fr", "xx") if stage.name == "translation" else ("",))
    }
    assert {name for name, seconds in limits.items() if seconds == 3700.0} == {
        ("audio_events", ""),
        ("translation", "en"),
    }
    assert set(limits.values()) == {100.0, 3700.0}


def test_one_process_serves_the_stages_of_a_job_and_is_ended_with_it():
    engines: dict[AnySkill, EngineKey] = {
        StageName.SUMMARY: EngineKey(engine="analysis", model="extractive"),
        StageName.SENTIMENT: EngineKey(engine="analysis", model="lexicon"),
    }
    runner = StageProcess(engines, EngineConfig())
    try:
        assert runner.run(summary.STAGE, context())["content"].startswith("- This is")
        process = runner._process
        value = runner.run(sentiment.STAGE, context())
        assert [each["sentiment"] for each in value["segments"]] == ["positive", "neutral"]
        with pytest.raises(UnsupportedLanguage):
            runner.run(sentiment.STAGE, context("cy"))
        assert runner._process is process
    finally:
        runner.close()
    assert process.poll() is not None


def test_a_language_that_is_switched_off_is_not_supported_even_if_it_was_identified():
    engines: dict[AnySkill, EngineKey] = {StageName.SUMMARY: EngineKey(engine="analysis", model="extractive")}
    runner = StageProcess(engines, EngineConfig(stages={"summary.de": "off"}))
    try:
        with pytest.raises(UnsupportedLanguage):
            runner.run(summary.STAGE, context("de"))
    finally:
        runner.close()
