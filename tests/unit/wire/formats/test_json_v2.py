import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.intelligence.stages import StageName
from sottovoce.job import State
from sottovoce.transcript.languages import PACKS, pack
from sottovoce.transcript.model import (
    Attaches,
    Entity,
    Identification,
    Item,
    LanguageScore,
    Speaker,
    StageError,
    StageResult,
    Transcript,
    Word,
    samples,
    seconds,
)
from sottovoce.wire.formats import json_v2
from sottovoce.wire.formats.json_v2 import Source, language_pack_info
from sottovoce.wire.v2.job import JobView
from tests.unit.transcript.transcript_values import lines, m, said, w

CONFIG: dict[str, Any] = {"type": "transcription", "transcription_config": {"language": "en", "enable_entities": True}}
VIEW = JobView(
    id="yjbmf9kqub",
    state=State.DONE,
    created_at=1_780_257_581_742,
    data_name="a.wav",
    duration_ms=15_500,
    config=CONFIG,
)
GOLDEN = Path(__file__).resolve().parents[3] / "golden"
# contract §7.4, and nothing else
MEMBERS = {
    "word": {"alternatives", "start_time", "end_time", "type"},
    "punctuation": {"alternatives", "start_time", "end_time", "type", "attaches_to", "is_eos"},
    "entity": {"alternatives", "start_time", "end_time", "type", "entity_class", "spoken_form", "written_form"},
}
OWN = {"format", "job", "metadata", "results", "speakers"}
"""The members of a transcript that no stage makes."""
ALTERNATIVE = {"content", "confidence", "language", "display", "speaker"}


def rendered(*items: Item, language: str = "en", view: JobView = VIEW, **more: Any) -> dict[str, Any]:
    transcript = Transcript(language=language, duration=samples(15.5), created_at=1, items=items, **more)
    return json_v2.render(Source(transcript=transcript, job=view, version="0.1.0"))


def only(*items: Item, **more: Any) -> dict[str, Any]:
    """The one result of one item."""
    (result,) = rendered(*items, **more)["results"]
    return dict(result)


def values(tree: Any) -> Iterator[Any]:
    """Every value in *tree*."""
    yield tree
    for below in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from values(below)


# --- the frame


def test_nothing_said() -> None:
    body = rendered()
    assert list(body) == ["format", "job", "metadata", "results"]
    assert body["format"] == "2.9"
    assert body["results"] == []


def test_the_job() -> None:
    assert rendered()["job"] == {
        "created_at": "2026-05-31T19:59:41.742Z",
        "data_name": "a.wav",
        "duration": 16,
        "id": "yjbmf9kqub",
    }


def test_the_name_of_a_text() -> None:
    assert rendered(view=replace(VIEW, text_name="a.txt"))["job"]["text_name"] == "a.txt"


def test_tracking_comes_back_without_what_was_null() -> None:
    tracking: dict[str, Any] = {
        "title": "t",
        "reference": None,
        "tags": ["a"],
        "details": {"deep": [None, {}]},
        "unknown": 1,
    }
    shown = rendered(view=replace(VIEW, config={**CONFIG, "tracking": tracking}))["job"]["tracking"]
    assert shown == {"title": "t", "tags": ["a"], "details": {"deep": [None, {}]}}


@pytest.mark.parametrize("tracking", [None, {}, {"title": None}])
def test_no_tracking(tracking: Any) -> None:
    assert "tracking" not in rendered(view=replace(VIEW, config={**CONFIG, "tracking": tracking}))["job"]


def test_the_metadata() -> None:
    assert rendered()["metadata"] == {
        "created_at": "1970-01-01T00:00:00.001000Z",
        "type": "transcription",
        "transcription_config": {"language": "en", "enable_entities": True},
        "orchestrator_version": "0.1.0",
        "language_pack_info": {
            "adapted": False,
            "itn": True,
            "language_description": "English",
            "word_delimiter": " ",
            "writing_direction": "left-to-right",
        },
    }


def test_configs_of_the_features_are_echoed_and_no_secret_is() -> None:
    features = {
        "translation_config": {"target_languages": ["de"]},
        "sentiment_analysis_config": {},
        "output_config": {"srt_overrides": {"max_lines": 1}},
        "auto_chapters_config": None,
    }
    hidden = {
        "notification_config": [{"url": "https://example.test", "auth_headers": ["A: secret"]}],
        "fetch_data": {"url": "https://example.test/a?token=secret"},
    }
    metadata = rendered(view=replace(VIEW, config={**CONFIG, **features, **hidden}))["metadata"]
    assert {name: metadata[name] for name in features if features[name] is not None} == {
        name: value for name, value in features.items() if value is not None
    }
    assert "auto_chapters_config" not in metadata
    assert "secret" not in json.dumps(metadata)


def test_a_job_whose_config_is_gone_still_has_a_type() -> None:
    body = rendered(view=replace(VIEW, config=None))
    assert body["metadata"]["type"] == "transcription"
    assert "transcription_config" not in body["metadata"]


def test_stages_that_failed_alone() -> None:
    errors = (
        StageError(feature="translation", type="translation_failed", message="one"),
        StageError(feature="summarization", type="unsupported_language", message="two"),
        StageError(feature="translation", type="unsupported_translation_pair", message="three"),
    )
    metadata = rendered(errors=errors)["metadata"]
    assert metadata["translation_errors"] == [
        {"type": "translation_failed", "message": "one"},
        {"type": "unsupported_translation_pair", "message": "three"},
    ]
    assert metadata["summarization_errors"] == [{"type": "unsupported_language", "message": "two"}]


@pytest.mark.parametrize("code", sorted(PACKS))
@pytest.mark.parametrize("adapted", [True, False])
def test_a_language_pack_has_five_members(code: str, adapted: bool) -> None:
    info = language_pack_info(pack(code), adapted=adapted)
    assert sorted(info) == ["adapted", "itn", "language_description", "word_delimiter", "writing_direction"]
    assert info["adapted"] is adapted
    assert info["writing_direction"] in {"left-to-right", "right-to-left"}


# --- items


def test_a_word() -> None:
    assert only(w("Hello", 0.3, 0.75, confidence=0.916, language="en", speaker="S1")) == {
        "alternatives": [
            {
                "confidence": 0.92,
                "content": "Hello",
                "display": {"direction": "ltr"},
                "language": "en",
                "speaker": "S1",
            }
        ],
        "end_time": 0.75,
        "start_time": 0.3,
        "type": "word",
    }


def test_what_is_unknown_of_a_word() -> None:
    (alternative,) = only(w("Hello"))["alternatives"]
    assert alternative == {
        "confidence": 1.0,
        "content": "Hello",
        "display": {"direction": "ltr"},
        "language": "en",
        "speaker": "UU",
    }


def test_a_confidence_of_nothing_is_not_unknown() -> None:
    assert only(w("a", confidence=0.0))["alternatives"][0]["confidence"] == 0.0


def test_volume_tags_and_channel() -> None:
    result = only(w("um", volume=41.236, tags=("disfluency", "profanity"), channel="agent"))
    assert result["volume"] == 41.24
    assert result["channel"] == "agent"
    assert result["alternatives"][0]["tags"] == ["disfluency", "profanity"]
    assert only(w("a", volume=0.0))["volume"] == 0.0


@pytest.mark.parametrize("attaches", Attaches)
def test_a_mark(attaches: Attaches) -> None:
    result = only(m(",", 2.5, attaches=attaches, channel="agent"))
    assert result["type"] == "punctuation"
    assert result["attaches_to"] == attaches.value
    assert result["is_eos"] is False
    assert result["start_time"] == result["end_time"] == 2.5
    assert result["channel"] == "agent"
    assert type(result["attaches_to"]) is str


def test_a_mark_that_ends_a_sentence() -> None:
    assert only(m(".", 2.5, ends=True))["is_eos"] is True


def entity(**more: Any) -> Entity:
    spoken = (w("twenty", 4.1, 4.5, volume=3.0, channel="a"), m("-", 4.5), w("pounds", 4.5, 5.02))
    written = (w("£20", 4.1, 5.02, confidence=0.97, tags=("x",)),)
    return Entity(
        text="£20",
        entity_class="money",
        spoken=spoken,
        written=written,
        start=samples(4.1),
        end=samples(5.02),
        confidence=0.97,
        **more,
    )


def test_an_entity() -> None:
    result = only(entity(channel="a", volume=3.0))
    assert (result["type"], result["entity_class"]) == ("entity", "money")
    assert (result["start_time"], result["end_time"]) == (4.1, 5.02)
    assert (result["channel"], result["volume"]) == ("a", 3.0)
    assert result["alternatives"][0]["content"] == "£20"
    assert [form["type"] for form in result["spoken_form"]] == ["word", "punctuation", "word"]
    assert [form["alternatives"][0]["content"] for form in result["spoken_form"]] == ["twenty", "-", "pounds"]
    assert [form["type"] for form in result["written_form"]] == ["word"]


def test_without_enable_entities_an_entity_is_the_words_that_are_written() -> None:
    plain = replace(VIEW, config={"type": "transcription", "transcription_config": {"language": "en"}})
    (result,) = rendered(entity(channel="a", volume=3.0), view=plain)["results"]
    assert (result["type"], result["alternatives"][0]["content"]) == ("word", "£20")
    assert (result["channel"], result["volume"]) == ("a", 3.0)
    assert "entity_class" not in result


def test_a_piece_of_an_entity_has_four_members() -> None:
    result = only(entity())
    assert {frozenset(form) for form in result["spoken_form"] + result["written_form"]} == {
        frozenset({"alternatives", "end_time", "start_time", "type"})
    }
    assert result["spoken_form"][0]["start_time"] == 4.1
    assert result["spoken_form"][1]["start_time"] == result["spoken_form"][1]["end_time"] == 4.5


@pytest.mark.parametrize(
    ("transcript", "word", "shown", "direction"),
    [
        ("en", None, "en", "ltr"),
        ("he", None, "he", "rtl"),
        ("he", "en", "en", "ltr"),
        ("ar_en", "ar", "ar", "rtl"),
        ("ar_en", "en", "en", "ltr"),
        ("en", "ur", "ur", "rtl"),
        ("xx", "xx", "xx", "ltr"),
        ("en", "qqq", "qqq", "ltr"),
    ],
)
def test_language_and_direction_belong_to_the_word(
    transcript: str, word: str | None, shown: str, direction: str
) -> None:
    (alternative,) = only(w("a", language=word), language=transcript)["alternatives"]
    assert (alternative["language"], alternative["display"]["direction"]) == (shown, direction)


def test_times_have_two_decimals() -> None:
    result = only(Word(text="a", start=5_333, end=16_079))
    assert (result["start_time"], result["end_time"]) == (0.33, 1.0)
    late = only(Word(text="a", start=36_000 * 16_000 + 5_333, end=36_000 * 16_000 + 16_079))
    assert orjson.dumps([late["start_time"], late["end_time"]]) == b"[36000.33,36001.0]"


def test_results_keep_their_order() -> None:
    items = said("Is it ? Yes , it is .")
    assert [result["alternatives"][0]["content"] for result in rendered(*items)["results"]] == [
        item.text for item in items
    ]


# --- any transcript


def holds(result: dict[str, Any], item: Item) -> None:
    optional = {"channel"} | ({"volume"} if result["type"] != "punctuation" else set())
    members = set(result)
    assert MEMBERS[result["type"]] <= members <= MEMBERS[result["type"]] | optional
    (alternative,) = result["alternatives"]
    assert ALTERNATIVE <= set(alternative) <= ALTERNATIVE | {"tags"}
    assert alternative["content"] == item.text
    assert 0 <= alternative["confidence"] <= 1
    assert alternative["display"]["direction"] in {"ltr", "rtl"}
    assert (result["start_time"], result["end_time"]) == (seconds(item.start), seconds(item.end))


@given(lines(), st.sampled_from(["en", "he", "cmn", "ar_en", "nobody"]))
def test_any_items(items: list[Item], language: str) -> None:
    body = rendered(*items, language=language)
    for result, item in zip(body["results"], items, strict=True):
        holds(result, item)
    assert None not in list(values(body["results"]))
    assert json.loads(orjson.dumps(body)) == body


@given(lines())
def test_rounding_keeps_the_order_of_starts(items: list[Item]) -> None:
    ordered = sorted(items, key=lambda item: item.start)
    starts = [result["start_time"] for result in rendered(*ordered)["results"]]
    assert all(before <= after for before, after in pairwise(starts))


@given(lines())
def test_rendering_changes_nothing_and_repeats(items: list[Item]) -> None:
    first = rendered(*items)
    assert rendered(*items) == first


@pytest.mark.shared
def test_golden_transcripts_fit_the_published_schema(shared: Path) -> None:
    from jsonschema import Draft4Validator

    definitions = json.loads((shared / "contract" / "rest.json").read_text())["batch"]["definitions"]
    validator = Draft4Validator({"$ref": "#/definitions/RetrieveTranscriptResponse", "definitions": definitions})
    found = sorted(GOLDEN.glob("*/expected.json"))
    assert len(found) >= 12
    for path in found:
        validator.validate(json.loads(path.read_text(encoding="utf-8")))


# --- language identification (contract §7.3)


def test_what_was_heard_is_told_beside_the_submitted_auto():
    view = replace(VIEW, config={"type": "transcription", "transcription_config": {"language": "auto"}})
    scores = (LanguageScore(language="de", confidence=0.876), LanguageScore(language="nl", confidence=0.1))
    found = Identification(alternatives=scores, start=samples(0.5), end=samples(61))
    metadata = rendered(w("hallo"), language="de", view=view, identification=found)["metadata"]
    assert metadata["transcription_config"]["language"] == "auto"
    assert metadata["language_pack_info"]["language_description"] == "German"
    assert metadata["language_identification"] == {
        "results": [
            {
                "alternatives": [{"language": "de", "confidence": 0.88}, {"language": "nl", "confidence": 0.1}],
                "start_time": 0.5,
                "end_time": 61.0,
            }
        ]
    }


def test_why_a_job_went_on_is_told():
    found = Identification(alternatives=(), start=0, end=0, error="NO_SPEECH", message="No speech found")
    metadata = rendered(language="de", identification=found)["metadata"]
    assert metadata["language_identification"] == {"results": [], "error": "NO_SPEECH", "message": "No speech found"}


def test_nothing_is_told_of_a_language_that_was_named():
    assert "language_identification" not in rendered(w("hello"))["metadata"]


# --- speakers (contract §7.10)


def asking(*, get_speakers: Any, diarization: str = "speaker") -> JobView:
    wanted = {
        "language": "en",
        "diarization": diarization,
        "speaker_diarization_config": {"get_speakers": get_speakers},
    }
    return replace(VIEW, config={"type": "transcription", "transcription_config": wanted})


HEARD = (Speaker(label="Ada", pitch=200.0, prints=("v1.a", "v1.b")), Speaker(label="S1", prints=("v1.c",)))


def test_speakers_come_with_their_identifiers_and_nothing_else():
    body = rendered(w("so", speaker="Ada"), view=asking(get_speakers=True), speakers=HEARD)
    assert list(body) == ["format", "job", "metadata", "results", "speakers"]
    assert body["speakers"] == [
        {"label": "Ada", "speaker_identifiers": ["v1.a", "v1.b"]},
        {"label": "S1", "speaker_identifiers": ["v1.c"]},
    ]


def test_a_speaker_without_an_identifier_is_not_listed():
    heard = (Speaker(label="S1", pitch=200.0), *HEARD[:1])
    assert [one["label"] for one in rendered(view=asking(get_speakers=True), speakers=heard)["speakers"]] == ["Ada"]


def test_who_asked_for_speakers_gets_a_list_though_nobody_spoke():
    assert rendered(view=asking(get_speakers=True))["speakers"] == []


@pytest.mark.parametrize(
    "view",
    [
        VIEW, asking(get_speakers=False), asking(get_speakers=None), asking(get_speakers=True, diarization="none"), asking(get_speakers=True, diarization="channel"), replace(VIEW, config=None),
        replace(VIEW, config={"transcription_config": {"diarization": "speaker", "speaker_diarization_config": None}}),
        replace(VIEW, config={"transcription_config": None}),
    ],
)  # fmt: skip
def test_who_did_not_ask_gets_none(view: JobView):
    assert "speakers" not in rendered(w("so", speaker="S1"), view=view, speakers=(Speaker(label="S1", pitch=99.0),))


def test_the_result_of_a_stage_has_the_name_of_the_stage_unless_the_contract_has_another() -> None:
    made = {
        name: [name] for name in ("summary", "sentiment", "topics", "chapters", "translation", "of_another_release")
    }
    body = rendered(results=tuple(StageResult(name=name, value=value) for name, value in made.items()))
    assert {name: value for name, value in body.items() if name not in OWN} == {
        "summary": ["summary"],
        "sentiment_analysis": ["sentiment"],
        "topics": ["topics"],
        "chapters": ["chapters"],
        "translations": ["translation"],
        "of_another_release": ["of_another_release"],
    }


def test_audio_events_are_two_members() -> None:
    events = {"events": [], "summary": {"overall": {}}}
    body = rendered(results=(StageResult(name="audio_events", value=events),))
    assert {name: value for name, value in body.items() if name not in OWN} == {
        "audio_events": [],
        "audio_event_summary": {"overall": {}},
    }


def test_no_stage_has_the_name_of_another_member() -> None:
    assert not OWN & set(StageName)
