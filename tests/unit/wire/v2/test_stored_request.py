"""The stored form of requests, and the configs of releases that stored none."""

import json
import zlib
from typing import Any

import pytest

from sottovoce.request import AlignmentRequest, Notification, Request, TranscriptionRequest
from sottovoce.wire.v2 import stored_request
from sottovoce.wire.v2.config import parse_job_config
from sottovoce.wire.v2.earlier_config import parse_earlier_config

SPEECH: dict[str, Any] = {"type": "transcription", "transcription_config": {"language": "en"}}
RICH: dict[str, Any] = {
    "type": "transcription",
    "transcription_config": {
        "language": "en",
        "operating_point": "enhanced",
        "output_locale": "en-GB",
        "diarization": "speaker",
        "speaker_diarization_config": {"speaker_sensitivity": 0.3, "get_speakers": True},
        "additional_vocab": ["plain", {"content": "Sottovoce", "sounds_like": ["soto voce"]}],
        "punctuation_overrides": {"permitted_marks": [".", ","], "sensitivity": 0.1},
        "audio_filtering_config": {"volume_threshold": 3},
        "transcript_filtering_config": {
            "remove_disfluencies": True,
            "replacements": [{"from": "/a+/", "to": "b"}],
        },
    },
    "output_config": {"srt_overrides": {"max_line_length": 30, "max_lines": 1}},
    "notification_config": [{"url": "https://e.org/a", "contents": ["transcript"], "auth_headers": ["X-T: t"]}],
    "fetch_data": {"url": "https://e.org/b"},
    "tracking": {"title": "t", "tags": ["a"], "details": {"n": 1}},
    "translation_config": {"target_languages": ["de"]},
    "summarization_config": {},
    "audio_events_config": {},
    "topic_detection_config": {"topics": ["x"]},
}
ALIGNMENT = {"type": "alignment", "alignment_config": {"language": "en"}, "fetch_text": {"url": "https://e.org/t"}}


def parsed(config: dict[str, Any]) -> Request:
    return parse_job_config(json.dumps(config).encode())


def earlier(config: dict[str, Any]) -> Request:
    return parse_earlier_config(json.dumps(config).encode())


@pytest.mark.parametrize("config", [SPEECH, RICH, ALIGNMENT])
def test_a_request_is_the_same_after_storage(config: dict[str, Any]) -> None:
    request = parsed(config)
    assert stored_request.load(stored_request.dump(request)) == request


def test_defaults_are_stored_too() -> None:
    tree = json.loads(zlib.decompress(stored_request.dump(parsed(SPEECH))))
    assert tree["v"] == stored_request.VERSION
    assert tree["request"]["subtitles"] == {"max_line_length": 37, "max_lines": 2}


def _tree(**changes: Any) -> bytes:
    whole = {"v": 1, "kind": "transcription", "request": {"language": "en"}, **changes}
    return zlib.compress(json.dumps(whole).encode())


def test_a_request_without_later_members_is_read() -> None:
    assert stored_request.load(_tree()) == TranscriptionRequest(language="en")


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (_tree(v=2), "newer release"),
        (_tree(kind="summary"), "not a stored request"),
        (_tree(request={"language": "en", "diarization": "hush"}), "diarization"),
        (zlib.compress(b"[]"), "not a stored request"),
        (b"{}", "not a stored request"),
    ],
)
def test_what_is_no_request_of_this_release_is_an_error(stored: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        stored_request.load(stored)
    assert "hush" not in str(caught.value)


# ── configs of releases that stored no request ──


@pytest.mark.parametrize("config", [SPEECH, RICH, ALIGNMENT])
def test_a_config_that_passes_is_parsed_as_ever(config: dict[str, Any]) -> None:
    assert earlier(config) == parsed(config)


def test_members_that_are_refused_today_are_left_out() -> None:
    config = json.loads(json.dumps(RICH))
    config["transcription_config"]["diarization"] = "group"
    config["transcription_config"]["punctuation_overrides"]["sensitivity"] = 7
    config["transcription_config"]["additional_vocab"].append({"content": 5})
    config["notification_config"][0]["contents"].append("transcript.gone")
    config["tracking"]["tags"] = "not a list"
    found = earlier(config)
    assert isinstance(found, TranscriptionRequest)
    assert (found.subtitles.max_line_length, found.operating_point) == (30, "enhanced")
    assert found.punctuation.permitted_marks == {".", ","}
    assert [entry.content for entry in found.additional_vocab] == ["plain", "Sottovoce"]
    assert found.notifications == (
        Notification(url="https://e.org/a", contents=("transcript",), auth_headers=("X-T: t",)),
    )


def test_members_that_exclude_each_other_today_are_left_out() -> None:
    found = earlier(
        {**SPEECH, "fetch_text": {"url": "https://e.org"}, "notification_config": [{"url": "https://e.org"}]}
    )
    assert [entry.url for entry in found.notifications] == ["https://e.org"]


def test_an_alignment_stays_one() -> None:
    found = earlier({**ALIGNMENT, "tracking": 5})
    assert isinstance(found, AlignmentRequest)
    assert found.fetch_text is not None


@pytest.mark.parametrize("config", [{}, {"type": "transcription"}, {"transcription_config": {"language": 5}}])
def test_a_config_without_a_usable_part_is_an_error(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no part"):
        earlier(config)
