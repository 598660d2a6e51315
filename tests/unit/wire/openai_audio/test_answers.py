"""A transcript in each format of OpenAI's API, and as events."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from sottovoce.transcript.model import RATE, Transcript
from sottovoce.web.docs import openai_answers as described
from sottovoce.wire.openai_audio import answers
from sottovoce.wire.openai_audio.segments import letters, segments
from tests.unit.transcript.transcript_values import m, said, w
from tests.unit.wire.openai_audio.values import parsed


def made(*items: Any, **changes: Any) -> Transcript:
    return Transcript(language="en", duration=10 * RATE, created_at=7, items=tuple(items), **changes)


TWO = made(*said("Hello there ."), *said("How are you ?", start=3.0))


def body(form: str, transcript: Transcript = TWO, **more: Any) -> Any:
    answer = answers.answer(transcript, parsed(response_format=form, **more))
    if form.endswith("json"):
        assert answer.media_type == "application/json"
        return json.loads(answer.body)
    assert answer.media_type == "text/plain; charset=utf-8"
    return answer.body.decode()


def test_json_and_text() -> None:
    assert body("json") == {"text": "Hello there. How are you?", "usage": {"type": "duration", "seconds": 10.0}}
    assert body("json", translate=True) == {"text": "Hello there. How are you?"}
    assert body("text") == "Hello there. How are you?\n"


def test_subtitles() -> None:
    assert body("srt").startswith("1\n00:00:00,000 --> ")
    assert body("vtt").startswith("WEBVTT\n\n00:00:00.000 --> ")


def test_verbose_json_has_segments_unless_only_words_are_asked_for() -> None:
    found = body("verbose_json")
    described.AudioVerbose.model_validate(found)
    assert (found["task"], found["language"], found["duration"]) == ("transcribe", "english", 10.0)
    assert [each["text"] for each in found["segments"]] == [" Hello there.", " How are you?"]
    assert "".join(each["text"] for each in found["segments"]).strip() == found["text"]
    assert [(each["id"], each["seek"], each["start"]) for each in found["segments"]] == [(0, 0, 0.0), (1, 300, 3.0)]
    assert "words" not in found
    words = body("verbose_json", lists={"timestamp_granularities[]": ["word"]})
    assert "segments" not in words
    assert words["words"][0] == {"word": "Hello", "start": 0.0, "end": 0.3}
    assert [each["word"] for each in words["words"]] == ["Hello", "there", "How", "are", "you"]


def test_the_scores_of_a_segment_are_finite_whatever_the_confidence() -> None:
    found = body("verbose_json", made(w("a", 0, confidence=0.0), w("b", 1, confidence=1.0), w("c", 2)))
    assert -10 < found["segments"][0]["avg_logprob"] < 0
    assert found["segments"][0]["compression_ratio"] > 0


def test_a_segment_ends_at_a_pause_and_when_it_is_long() -> None:
    assert [len(each.items) for each in segments([w("a", 0), w("b", 1), w("c", 5)])] == [2, 1]
    assert len(list(segments([w("a", at) for at in range(60)]))) == 2


def test_diarized_json_joins_the_sentences_of_a_speaker() -> None:
    one = [*said("Hello there .", speaker="S1"), *said("Listen .", start=1.0, speaker="S1")]
    two = said("Yes .", start=2.0, speaker="S2")
    found = body("diarized_json", made(*one, *two))
    described.AudioDiarized.model_validate(found)
    assert [(each["speaker"], each["text"]) for each in found["segments"]] == [
        ("A", " Hello there. Listen."),
        ("B", " Yes."),
    ]
    assert len({each["id"] for each in found["segments"]}) == 2
    assert found["text"] == "Hello there. Listen. Yes."


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("S1", "A"),
        ("S26", "Z"),
        ("S27", "AA"),
        ("S0", "S0"),
        ("UU", "unknown"),
        ("Ada", "Ada"),
        ("S" + "9" * 40, "S" + "9" * 40),
    ],
)
def test_speakers_are_letters(label: str, shown: str) -> None:
    assert letters(label) == shown


@pytest.mark.parametrize("form", ["json", "text", "srt", "vtt", "verbose_json", "diarized_json"])
def test_an_empty_transcript(form: str) -> None:
    found = body(form, made())
    assert "text" not in found or found["text"] == ""
    if form == "verbose_json":
        assert found["segments"] == []


def test_a_language_without_blanks() -> None:
    transcript = Transcript(
        language="ja", duration=RATE, created_at=7, items=(w("今日", 0), w("は", 0.2), m("。", 0.3))
    )
    assert body("json", transcript)["text"] == "今日は。"
    assert body("verbose_json", transcript)["segments"][0]["text"] == "今日は。"


# ── events ──


def events(raw: bytes) -> list[dict[str, Any]]:
    found = []
    for block in raw.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1].get('type', 'error')}"
    return found


def test_deltas_and_the_rest_are_the_whole_text() -> None:
    first = answers.delta(TWO.items[:3], "en", first=True)
    rest = answers.closing(TWO, parsed(stream="true"), 2 * RATE, first=False)
    found = events(first + b"".join(rest))
    assert [each["type"] for each in found] == [
        "transcript.text.delta",
        "transcript.text.delta",
        "transcript.text.done",
    ]
    assert found[0]["delta"] + found[1]["delta"] == found[2]["text"] == "Hello there. How are you?"


def test_a_stream_of_silence_has_only_its_end() -> None:
    assert answers.delta((), "en", first=True) == b""
    assert events(b"".join(answers.closing(made(), parsed(), 0, first=True))) == [
        {"type": "transcript.text.done", "text": ""}
    ]


def test_the_turns_of_speakers_are_events() -> None:
    spoken = made(*said("Hello .", speaker="S1"))
    found = events(b"".join(answers.closing(spoken, parsed(response_format="diarized_json"), 0, first=True)))
    assert [each["type"] for each in found] == [
        "transcript.text.delta",
        "transcript.text.segment",
        "transcript.text.done",
    ]
    TypeAdapter(described.AudioTurn).validate_python(found[1])
