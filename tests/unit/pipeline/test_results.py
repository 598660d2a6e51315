"""The stages of speech intelligence around a transcript: each fails alone, in the contract's words, with the cause in the log."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sottovoce.engines import registry, resolution
from sottovoce.engines.config import EngineConfig, parsed_stages
from sottovoce.engines.gaps import GapKind, StageGap, gaps, targets_of
from sottovoce.engines.protocols import AnySkill, Capabilities, Skill
from sottovoce.engines.registry import Choice
from sottovoce.engines.resolution import Need
from sottovoce.errors import EngineUnavailable
from sottovoce.intelligence import summary, topics
from sottovoce.intelligence.backends.builtin.sentiment import LexiconSentiment
from sottovoce.intelligence.backends.builtin.topics import VectorTopics
from sottovoce.intelligence.stages import STAGES, StageName
from sottovoce.job import State
from sottovoce.pipeline import batch
from sottovoce.pipeline.engine_set import LoadedEngines
from sottovoce.request import Diarization, Summarization, TranscriptionRequest
from sottovoce.transcript import codec
from sottovoce.transcript.model import StageError, Transcript
from sottovoce.wire.formats import json_v2
from sottovoce.wire.v2.job import JobView
from tests import sleeper
from tests.tiny_encoder import WordVectors
from tests.unit.pipeline.test_batch import Notebook, VadFactory, long_wav

__all__ = ["long_wav"]

PLAIN = TranscriptionRequest(language="en")
ASKING = replace(
    PLAIN, summarization=Summarization(), sentiment_analysis=True, topics=(), auto_chapters=True, audio_events=()
)
FAILED = {
    "summarization": ("summarization_failed", "Summarization failed."),
    "sentiment_analysis": ("sentiment_analysis_failed", "Sentiment Analysis failed."),
    "topic_detection": ("topic_detection_failed", "Topic Detection failed."),
    "auto_chapters": ("auto_chapters_failed", "Auto Chapters failed."),
}
UNSUPPORTED = {
    "summarization": "Summarization not supported for cy.",
    "sentiment_analysis": "Sentiment analysis not supported for cy.",
    "topic_detection": "Topic Detection not supported for cy.",
    "auto_chapters": "Auto chapters not supported for cy.",
}


class Broken:
    """A backend of every stage, which fails or, with *languages*, supports others only."""

    types = frozenset({"music"})

    def __init__(self, languages=frozenset()):
        self.languages = languages

    def __getattr__(self, name):
        raise RuntimeError("https://secret.example/key")


class Clever:
    """A summary of one sentence."""

    languages = frozenset({"en"})

    def summarize(self, sentences, wish, alive):
        alive()
        return [sentences[0].text]


def transcribe(path: Path, request: TranscriptionRequest, known=(), **backends):
    notebook = Notebook()
    engines: dict[AnySkill, Any] = {StageName(name): each for name, each in backends.items()}
    engines[Skill.TRANSCRIPTION] = sleeper.Sleeper(0.0)
    work = batch.Work(path=path, request=request, clock=lambda: 0, gaps=known)
    return batch.transcribe(work, LoadedEngines(engines), VadFactory, notebook), notebook


def body(transcript: Transcript) -> dict[str, Any]:
    job = JobView(id="a", state=State.DONE, created_at=0, data_name="a.wav", duration_ms=1, config={})
    return json_v2.render(json_v2.Source(transcript=transcript, job=job, version="1"))


def test_results_are_stored_and_shown(long_wav):
    transcript, notebook = transcribe(
        long_wav,
        replace(ASKING, topics=("one", "two"), auto_chapters=False, audio_events=None),
        summary=Clever(),
        sentiment=LexiconSentiment(),
        topics=VectorTopics(WordVectors()),
    )
    stored = codec.decode(codec.encode(transcript))
    assert stored == transcript
    assert transcript.errors == ()
    shown = body(stored)
    assert shown["summary"]["content"].startswith("- ")
    assert sorted(shown["sentiment_analysis"]) == ["segments", "summary"]
    assert shown["topics"]["summary"]["overall"].keys() == {"one", "two"}
    assert "chapters" not in shown
    assert "audio_events" not in shown
    notes = [note for name, note in notebook.stages if name == "sentiment"]
    assert notes[0] == "begins"
    assert notes[1].startswith("done in ")


def test_a_stage_that_is_not_asked_for_does_not_run(long_wav):
    transcript, _ = transcribe(long_wav, PLAIN, **{stage.name: Broken() for stage in STAGES})
    assert (transcript.results, transcript.errors) == ((), ())


def test_every_stage_fails_alone_in_the_contracts_words_and_the_cause_is_in_the_log(long_wav):
    transcript, notebook = transcribe(long_wav, ASKING, **{stage.name: Broken() for stage in STAGES})
    assert transcript.items
    assert {error.feature: (error.type, error.message) for error in transcript.errors} == FAILED
    shown = body(transcript)
    assert shown["metadata"]["auto_chapters_errors"] == [
        {"type": "auto_chapters_failed", "message": "Auto Chapters failed."}
    ]
    # the contract has no error list for audio events
    assert (shown["audio_events"], shown["audio_event_summary"]) == ([], {"overall": {}})
    assert "secret" not in str(shown)
    assert all("secret" not in note for _, note in notebook.stages)
    assert sum("secret" in trace for trace in notebook.traces) == len(STAGES) - 1  # no translation was asked for


def test_a_language_that_no_backend_supports_is_named(long_wav):
    only_german = {stage.name: Broken(frozenset({"de"})) for stage in STAGES if stage.feature}
    asked = replace(ASKING, language="cy", audio_events=None)
    transcript, notebook = transcribe(long_wav, asked, **only_german)
    assert {error.feature: error.message for error in transcript.errors} == UNSUPPORTED
    assert {error.type for error in transcript.errors} == {"unsupported_language"}
    assert sum("does not support the language cy" in note for _, note in notebook.stages) == 4
    assert notebook.traces == []


def test_too_many_topics_are_told_even_where_topics_are_not_installed(long_wav):
    absent = (StageGap(stage="topics", kind=GapKind.ABSENT, why="not installed"),)
    transcript, _ = transcribe(long_wav, replace(PLAIN, topics=tuple("abcdefghijk")), known=absent)
    message = "List of topics cannot exceed 10 topics."
    assert transcript.errors == (
        StageError(feature="topic_detection", type="unsupported_list_of_topics", message=message),
    )


# ── gaps ──

OFFERS = registry.offered(EngineConfig(models=Path("none")))


def found(request, offers=OFFERS, **settings):
    resolved = resolution.resolve(request, offers)
    return {gap.part or gap.stage: gap for gap in gaps(request, resolved, offers, settings)}


def test_a_stage_that_is_not_installed_names_the_command_and_does_not_blame_the_language(long_wav):
    known = found(ASKING)
    assert known.keys() == {"topics", "chapters"}
    assert all("`sottovoce models pull minilm`" in gap.why and gap.kind is GapKind.ABSENT for gap in known.values())
    transcript, notebook = transcribe(long_wav, replace(PLAIN, topics=()), known=(known["topics"],))
    assert transcript.errors == (
        StageError(feature="topic_detection", type="topic_detection_failed", message="Topic Detection failed."),
    )
    assert ("topics", known["topics"].why) in notebook.stages


def test_a_language_without_a_backend_is_blamed():
    german = replace(OFFERS[0], languages=frozenset({"de", "en"}))
    known = found(replace(PLAIN, language="de", sentiment_analysis=True), (german, *OFFERS))
    assert known["sentiment"].kind is GapKind.LANGUAGE
    assert "not supported for the language de on this server (supported: en)" in known["sentiment"].why


def test_a_stage_that_is_switched_off_says_so():
    stages = parsed_stages(["sentiment=off", "summary.en=off"])
    offers = registry.offered(EngineConfig(models=Path("none"), stages=stages))
    assert not registry.skilled(offers, StageName.SENTIMENT)
    assert "en" not in registry.skilled(offers, StageName.SUMMARY)[0].languages
    known = found(ASKING, offers, **stages)
    assert all("SOTTOVOCE_STAGES" in known[name].why for name in ("sentiment", "summary"))
    assert known["summary"].kind is GapKind.ABSENT


@pytest.mark.parametrize("pair", ["weather=off", "topics=magic", "topics", "topics.xx=off", "topics.=off"])
def test_an_unknown_stage_backend_or_language_is_refused(pair):
    with pytest.raises(ValueError, match=r"stage|backend|language"):
        parsed_stages([pair])


def test_translation_names_each_pair_and_the_log_says_why(long_wav):
    asked = replace(PLAIN, translation_targets=("de", "fr"))
    known = found(asked)
    transcript, notebook = transcribe(long_wav, asked, known=tuple(known.values()))
    assert [(error.type, error.message) for error in transcript.errors] == [
        ("unsupported_translation_pair", "Translation from en to de currently not supported"),
        ("unsupported_translation_pair", "Translation from en to fr currently not supported"),
    ]
    assert any("SOTTOVOCE_TRANSLATION_MODELS" in note for name, note in notebook.stages if name == "translation")


class Mirror:
    """A translation into German, by turning the text; French fails."""

    languages = frozenset({"en"})
    targets = frozenset({"de", "fr"})

    def translate(self, scene, target):
        if target == "fr":
            raise RuntimeError("the true cause")
        return [each.text[::-1] for each in scene.sentences]


def test_each_target_has_its_result_or_its_own_error(long_wav):
    asked = replace(PLAIN, translation_targets=("de", "fr", "en", "nn"))
    transcript, notebook = transcribe(long_wav, asked, translation=Mirror())
    shown = body(codec.decode(codec.encode(transcript)))
    assert list(shown["translations"]) == ["de", "en"]
    german, english = shown["translations"]["de"], shown["translations"]["en"]
    assert [each["content"][::-1] for each in german] == [each["content"] for each in english]
    assert [each["start_time"] for each in german] == [each["start_time"] for each in english]
    assert german[0].keys() == {"start_time", "end_time", "content", "speaker"}
    assert shown["metadata"]["translation_errors"] == [
        {"type": "translation_failed", "message": "Translation from en to fr failed."},
        {"type": "unsupported_translation_pair", "message": "Translation from en to nn currently not supported"},
    ]
    assert any("the true cause" in trace for trace in notebook.traces)


TRANSLATES = Capabilities(
    engine="t",
    model="",
    languages=frozenset({"en", "fr"}),
    targets=frozenset({"en", "de"}),
    skills=frozenset({StageName.TRANSLATION}),
    grade=5,
)


def test_the_best_backend_of_a_pair_is_chosen():
    better = replace(TRANSLATES, engine="better", targets=frozenset({"de"}), grade=9)
    offers = (TRANSLATES, better)
    choose = registry.choose_stage
    assert choose(StageName.TRANSLATION, "fr", offers, "de").engine == "better"
    assert choose(StageName.TRANSLATION, "fr", offers, "en").engine == "t"
    assert choose(StageName.TRANSLATION, "de", offers, "en") is None
    assert targets_of("en", offers) == ("de",)


def test_a_pair_without_a_backend_is_told_apart_from_no_backend_and_from_an_open_language():
    asked = replace(PLAIN, translation_targets=("en", "de", "nn"))
    known = found(asked, (*OFFERS, TRANSLATES))
    assert list(known) == ["nn"]
    assert "from en to nn (from en: de)" in known["nn"].why
    assert "not installed on this server" in found(asked)["de"].why
    assert "SOTTOVOCE_STAGES" in found(asked, translation="off")["de"].why
    assert found(replace(asked, language="auto"), (replace(OFFERS[0], identifies_language=True),)) == {}


def test_events_that_the_detector_does_not_know_are_told_and_the_others_are_found():
    known = found(replace(PLAIN, audio_events=("music", "applause")))
    assert known["audio_events"].kind is GapKind.PART
    assert known["audio_events"].why.startswith("applause: not detected here (detected: music); ")
    assert "SOTTOVOCE_AUDIO_TAGGER" in known["audio_events"].why
    assert found(replace(PLAIN, audio_events=())) == {}


# ── engines ──

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


def test_each_stage_has_a_skill_and_its_engine_is_resolved():
    keys = resolution.resolve(ASKING, OFFERS).keys
    assert [stage.name for stage in STAGES] == list(StageName)
    assert {skill: key.model for skill, key in keys.items() if key.engine == "analysis"} == {
        StageName.SUMMARY: "extractive",
        StageName.SENTIMENT: "lexicon",
        StageName.AUDIO_EVENTS: "spectrum",
    }


def test_with_an_open_language_the_backend_for_most_languages_is_chosen():
    few = Capabilities(
        engine="few", model="", languages=frozenset({"en"}), skills=frozenset({StageName.SUMMARY}), grade=9
    )
    many = replace(few, engine="many", languages=frozenset({"en", "de"}), grade=0)
    assert registry.choose_stage(StageName.SUMMARY, "auto", (few, many)).engine == "many"
    assert registry.choose_stage(StageName.SUMMARY, "en", (many, few)).engine == "few"
    assert registry.choose_stage(StageName.SUMMARY, "fr", (many, few)) is None


def test_a_new_need_reaches_the_map(monkeypatch):
    toy = Need(
        skill=Skill.ALIGNMENT,
        asked=lambda request: isinstance(request, TranscriptionRequest) and request.summarization is not None,
        choose=lambda _request, offers: Choice(
            engine="toy", model="", device="cpu", why="the only one", capabilities=offers[0]
        ),
    )
    monkeypatch.setattr(resolution, "NEEDS", (*resolution.NEEDS, toy))
    assert (
        resolution.resolve(replace(PLAIN, summarization=Summarization()), (SPEAKS,)).keys[Skill.ALIGNMENT].engine
        == "toy"
    )


def test_the_names_of_the_stages_are_stored_and_do_not_change():
    assert (summary.STAGE.name, topics.STAGE.name) == ("summary", "topics")
    assert [stage.name for stage in STAGES] == [
        "summary", "sentiment", "topics", "chapters", "translation", "audio_events",
    ]  # fmt: skip
