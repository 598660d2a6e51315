"""Every kind of media, and what a config makes of it, through the whole service."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import tiny_encoder
from tests.servers import Server

pytestmark = pytest.mark.system

AUDIO = Path(__file__).parents[1] / "fixtures" / "audio"
SENTENCE = {"nothing", "that", "you", "say", "will", "leave", "this", "room"}
LEFT, RIGHT = {"thank", "you", "for", "coming"}, {"good", "morning", "to", "you"}

# name -> seconds; one sentence in every way of packing
SPOKEN = {
    "speech_8k.wav": 2.9, "speech.sph": 2.9, "speech.flac": 2.9, "speech.mp3": 2.9, "speech.m4a": 2.9, "speech.ogg": 2.9,
    "speech.webm": 2.9, "speech.aac": 3.0, "speech.amr": 2.9, "speech.mpg": 2.9, "video.mp4": 2.9, "stereo_44k.wav": 1.6,
    "truncated.mp3": 1.7, "truncated.wav": 1.75,
}  # fmt: skip
WORDLESS = {"silence.wav": 2, "no_samples.wav": 0}


def config(**members: Any) -> dict[str, Any]:
    """A good config with *members* in its transcription_config."""
    return {"type": "transcription", "transcription_config": {"language": "en", **members}}


def beside(**members: Any) -> dict[str, Any]:
    """A good config with *members* beside its transcription_config."""
    return {**config(), **members}


def filtering(**members: Any) -> dict[str, Any]:
    """A good config with *members* in its transcript_filtering_config."""
    return config(transcript_filtering_config=members)


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """A good config with replacements."""
    return filtering(replacements=[{"from": source, "to": target} for source, target in pairs])


STEREO = "stereo_44k.wav"
SPEECH = "speech.flac"
# what is tried: name -> media and config
TRIED: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, config()) for name in (*SPOKEN, *WORDLESS, "eight.wav")},
    "channels": (STEREO, config(diarization="channel")),
    "labels": (STEREO, config(diarization="channel", channel_diarization_labels=["Agent", "Caller"])),
    "one label": (STEREO, config(diarization="channel", channel_diarization_labels=["Agent"])),
    "many labels": (STEREO, config(diarization="channel", channel_diarization_labels=["a.b", "c_d", "E", "F", "G"])),
    "same labels": (STEREO, config(diarization="channel", channel_diarization_labels=["Agent", "Agent"])),
    "channels of mono": (SPEECH, config(diarization="channel", channel_diarization_labels=["Only", "None"])),
    "eight channels": ("eight.wav", config(diarization="channel")),
    "speakers": (SPEECH, config(diarization="speaker")),
    "no marks": (SPEECH, config(punctuation_overrides={"permitted_marks": []})),
    "full stops": (SPEECH, config(punctuation_overrides={"permitted_marks": ["."]})),
    "commas": (SPEECH, config(punctuation_overrides={"permitted_marks": [","]})),
    "all marks": (SPEECH, config(punctuation_overrides={"permitted_marks": ["all"], "sensitivity": 1})),
    "volumes": (SPEECH, config(audio_filtering_config={})),
    "a quiet threshold": (SPEECH, config(audio_filtering_config={"volume_threshold": 1})),
    "the highest threshold": (SPEECH, config(audio_filtering_config={"volume_threshold": 100})),
    "a plain rule": (SPEECH, rules(("room", "HOUSE"))),
    "a regex": (SPEECH, rules(("/^(r)(oo)m$/", "$2$1"))),
    "a rule for another case": (SPEECH, rules(("ROOM", "HOUSE"))),
    "a malformed regex": (SPEECH, rules(("room", "HOUSE"), ("/(/", "x"))),
    "a slow regex": (SPEECH, rules(("/(a+)+$/", "x"))),
    "vocabulary": (SPEECH, config(additional_vocab=["Sottovoce", {"content": "gnocchi", "sounds_like": ["nyohki"]}])),
    "no disfluencies": (SPEECH, filtering(remove_disfluencies=True)),
    "narrow": (SPEECH, beside(output_config={"srt_overrides": {"max_line_length": 12, "max_lines": 1}})),
    "summary": (SPEECH, beside(summarization_config={})),
    "sentiment": (SPEECH, beside(sentiment_analysis_config={})),
    "topics": (SPEECH, beside(topic_detection_config={"topics": ["music"]})),
    "chapters": (SPEECH, beside(auto_chapters_config={})),
    "many topics": (SPEECH, beside(topic_detection_config={"topics": list("abcdefghijk")})),
    "events": (SPEECH, beside(audio_events_config={"types": ["music", "applause"]})),
    "translation": (SPEECH, beside(translation_config={"target_languages": ["en"]})),
    "enhanced": (SPEECH, config(operating_point="enhanced")),
    "entities": (SPEECH, config(enable_entities=True, max_delay_mode="flexible")),
}
REJECTED = {"a malformed regex", "a slow regex"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One ended job."""

    server: Server
    job: dict[str, Any]

    def json(self) -> dict[str, Any]:
        """Its transcript."""
        found: dict[str, Any] = self.server.transcript(self.job["id"])
        return found

    def text(self, form: str = "txt") -> str:
        """Its transcript as text."""
        return str(self.server.transcript(self.job["id"], form))

    def log(self) -> str:
        """Its log."""
        with self.server.client() as client:
            return client.get(f"/v2/jobs/{self.job['id']}/log").text

    def items(self, kind: str = "word") -> list[dict[str, Any]]:
        """Items of one type."""
        return [item for item in self.json()["results"] if item["type"] == kind]

    def words(self) -> list[str]:
        """Its words as they are written."""
        return [item["alternatives"][0]["content"] for item in self.items()]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Everything in `TRIED`, submitted at once and ended."""
    models = tmp_path_factory.mktemp("models")
    tiny_encoder.build(models / "tiny")
    with Server(tmp_path_factory.mktemp("media"), SOTTOVOCE_SLOTS="2", SOTTOVOCE_MODELS_DIR=str(models)) as server:
        ids = {name: server.submit(AUDIO / media, wanted) for name, (media, wanted) in TRIED.items()}
        yield {name: Result(server=server, job=server.wait(job_id)) for name, job_id in ids.items()}


def plain(words: list[str]) -> set[str]:
    return {re.sub(r"[^a-z']", "", word.lower()) for word in words}


@pytest.mark.parametrize("name", SPOKEN)
def test_every_kind_of_media_is_transcribed(jobs, name):
    result = jobs[name]
    assert result.job["status"] == "done"
    assert type(result.job["duration"]) is int
    assert abs(result.job["duration"] - SPOKEN[name]) <= 1
    transcript = result.json()
    assert transcript["job"]["duration"] == result.job["duration"]
    assert result.words()
    assert result.text()
    assert "-->" in result.text("srt")
    assert all(0 <= item["start_time"] <= item["end_time"] <= SPOKEN[name] + 1 for item in transcript["results"])
    if "truncated" not in name and name != STEREO:
        assert len(plain(result.words()) & SENTENCE) >= 4, result.words()


@pytest.mark.parametrize("name", WORDLESS)
def test_where_nothing_is_said_there_is_an_empty_transcript(jobs, name):
    result = jobs[name]
    assert result.job["status"] == "done"
    assert result.job["duration"] == WORDLESS[name]
    assert result.json()["results"] == []
    assert result.text("txt") == ""
    assert result.text("srt") == ""
    assert result.text("vtt").strip() == "WEBVTT"


def by_channel(result: Result) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in result.items():
        found.setdefault(item["channel"], []).append(item["alternatives"][0]["content"])
    return found


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("channels", ["channel_1", "channel_2"]),
        ("labels", ["Agent", "Caller"]),
        ("one label", ["Agent", "channel_2"]),
        ("many labels", ["a.b", "c_d"]),
        ("same labels", ["Agent", "Agent_"]),
    ],
)
def test_each_channel_has_its_words_and_its_label(jobs, name, labels):
    result = jobs[name]
    assert result.job["status"] == "done"
    found = by_channel(result)
    assert sorted(found) == sorted(labels)
    left, right = (plain(found[label]) for label in labels)
    assert len(left & LEFT) >= 3, found
    assert len(right & RIGHT) >= 3, found
    assert "morning" in right - left
    assert all(item["channel"] in labels for item in result.json()["results"])
    starts = [item["start_time"] for item in result.items()]  # a mark stays behind its word
    assert starts == sorted(starts)
    assert f"CHANNEL: {labels[0]}" in result.text()
    assert f"CHANNEL: {labels[1]}" in result.text()


def test_labels_beyond_the_channels_are_not_used(jobs):
    assert set(by_channel(jobs["channels of mono"])) == {"Only"}
    eight = jobs["eight channels"]
    assert eight.job["status"] == "done"
    assert set(by_channel(eight)) <= {f"channel_{k}" for k in range(1, 9)}
    assert "8 channel(s)" in eight.log()


def test_without_channel_diarization_no_word_has_a_channel(jobs):
    assert all("channel" not in item for item in jobs[STEREO].json()["results"])


def test_who_speaks_alone_is_the_first_speaker_and_the_log_says_who_found_that(jobs):
    result = jobs["speakers"]
    assert {item["alternatives"][0]["speaker"] for item in result.json()["results"]} == {"S1"}
    assert result.text().startswith("SPEAKER: S1\n")
    assert "engine builtin" in result.log()
    assert result.words() == jobs[SPEECH].words()


def test_permitted_marks_decide_about_punctuation(jobs):
    def marks(name: str) -> set[str]:
        return {item["alternatives"][0]["content"] for item in jobs[name].items("punctuation")}

    assert marks("no marks") == set()
    assert "." not in jobs["no marks"].text()
    assert marks("full stops") == {"."}
    assert marks("commas") <= {","}
    assert "." in marks("all marks")


def test_an_empty_filter_adds_volumes_and_a_high_one_leaves_nothing(jobs):
    assert all("volume" not in item for item in jobs[SPEECH].items())
    for name in ("volumes", "a quiet threshold"):
        volumes = [item["volume"] for item in jobs[name].items()]
        assert volumes
        assert all(0 < volume <= 100 for volume in volumes)
    assert jobs["volumes"].words() == jobs[SPEECH].words()
    silenced = jobs["the highest threshold"]
    assert silenced.job["status"] == "done"
    assert silenced.json()["results"] == []


def test_replacements_rewrite_words(jobs):
    words = jobs[SPEECH].words()
    assert "room" in words
    assert jobs["a plain rule"].words() == ["HOUSE" if word == "room" else word for word in words]
    assert jobs["a regex"].words() == ["oor" if word == "room" else word for word in words]
    assert jobs["a rule for another case"].words() == words


@pytest.mark.parametrize(
    ("name", "rule"), [("a malformed regex", "replacements[1]"), ("a slow regex", "replacements[0]")]
)
def test_a_regex_that_cannot_be_used_fails_the_job_with_a_reason(jobs, name, rule):
    job = jobs[name].job
    assert job["status"] == "rejected"
    (error,) = job["errors"]
    assert list(error) == ["message", "timestamp"]
    assert rule in error["message"]
    assert "Traceback" not in error["message"]
    with jobs[name].server.client() as client:
        answer = client.get(f"/v2/jobs/{job['id']}/transcript")
    assert (answer.status_code, answer.json()["error"]) == (404, "Job rejected")
    assert answer.json()["detail"] == error["message"]


def test_custom_words_are_taken_and_the_transcript_says_so(jobs):
    result = jobs["vocabulary"]
    assert result.job["status"] == "done"
    assert result.json()["metadata"]["language_pack_info"]["adapted"] is True
    assert jobs[SPEECH].json()["metadata"]["language_pack_info"]["adapted"] is False
    assert len(plain(result.words()) & SENTENCE) >= 5


def test_what_changes_nothing_here_is_taken_all_the_same(jobs):
    words = jobs[SPEECH].words()
    for name in ("no disfluencies", "entities", "narrow"):
        assert jobs[name].words() == words
    assert jobs["enhanced"].job["status"] == "done"
    assert jobs["enhanced"].words()


def test_subtitles_keep_to_the_wanted_size(jobs):
    wide, narrow = jobs[SPEECH].text("srt"), jobs["narrow"].text("srt")
    assert wide.count("-->") < narrow.count("-->")
    for block in narrow.strip().split("\n\n"):
        _number, _times, *lines = block.split("\n")
        assert len(lines) == 1
        assert len(lines[0]) <= 12
    assert jobs["narrow"].json()["metadata"]["output_config"] == TRIED["narrow"][1]["output_config"]


@pytest.mark.parametrize(
    ("name", "feature", "kind", "count"),
    [
        ("many topics", "topic_detection", "unsupported_list_of_topics", 1),
    ],
)
def test_a_feature_that_is_not_here_is_told_in_the_transcript(jobs, name, feature, kind, count):
    result = jobs[name]
    assert result.job["status"] == "done"
    transcript = result.json()
    errors = transcript["metadata"][f"{feature}_errors"]
    assert len(errors) == count
    assert all(sorted(error) == ["message", "type"] and error["type"] == kind for error in errors)
    assert result.words() == jobs[SPEECH].words()
    given = {key: value for key, value in TRIED[name][1].items() if key not in {"type", "transcription_config"}}
    assert {key: transcript["metadata"][key] for key in given} == given


INTELLIGENCE = {
    "summary": ("summary",),
    "sentiment": ("sentiment_analysis",),
    "topics": ("topics",),
    "chapters": ("chapters",),
    "translation": ("translations",),
    "events": ("audio_events", "audio_event_summary"),
}


@pytest.mark.parametrize("name", INTELLIGENCE)
def test_a_stage_of_speech_intelligence_has_its_members_and_changes_no_word(jobs, name):
    result = jobs[name]
    assert result.job["status"] == "done"
    transcript = result.json()
    assert all(member in transcript for member in INTELLIGENCE[name])
    assert not [key for key in transcript["metadata"] if key.endswith("_errors")]
    assert result.words() == jobs[SPEECH].words()
    assert ("the transcript itself" if name == "translation" else "done in") in result.log()
    others = {member for members in INTELLIGENCE.values() for member in members} - set(INTELLIGENCE[name])
    assert not others & transcript.keys()


def test_the_results_say_something_of_the_words(jobs):
    spoken = jobs[SPEECH].text().replace("\n", " ").split()
    summary = jobs["summary"].json()["summary"]["content"]
    assert summary.startswith("- ")
    assert summary.split()[1] in spoken
    counts = jobs["sentiment"].json()["sentiment_analysis"]["summary"]["overall"]
    assert sum(counts.values()) == len(jobs["sentiment"].json()["sentiment_analysis"]["segments"]) > 0
    assert jobs["topics"].json()["topics"]["summary"]["overall"].keys() == {"music"}
    chapters = jobs["chapters"].json()["chapters"]
    assert chapters[0]["start_time"] == 0
    assert abs(chapters[-1]["end_time"] - SPOKEN[SPEECH]) <= 1
    events = jobs["events"].json()
    assert events["audio_event_summary"]["overall"]["speech"]["count"] == len(jobs[SPEECH].words())
    assert events["audio_event_summary"]["overall"]["music"] == {"count": 0, "total_duration": 0.0}
    assert "applause: not detected here (detected: music)" in jobs["events"].log()
    translated = jobs["translation"].json()["translations"]["en"]
    assert {(each["speaker"], each["start_time"] < each["end_time"]) for each in translated} == {("UU", True)}
    assert sum(len(each["content"].split()) for each in translated) == len(jobs[SPEECH].words())


def test_nothing_went_wrong_inside(jobs):
    server = jobs[SPEECH].server
    assert [line for line in server.lines() if line["level"] in {"error", "critical"} or "error" in line] == []
    texts = [json.dumps(result.json()) for result in jobs.values() if result.job["status"] == "done"]
    assert len(texts) == len(TRIED) - len(REJECTED)
