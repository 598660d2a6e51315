"""`--translate`: transcripts of the sentences of a translation, and where they go."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sottovoce.cli import main
from sottovoce.cli.files.failures import FileFailed
from sottovoce.cli.files.sources import expanded
from sottovoce.cli.files.translated import Translator, suffixes, transcript_of
from sottovoce.transcript.model import RATE, Mark, Word

SENTENCES = [
    {"start_time": 0.0, "end_time": 2.0, "content": "Guten Tag, meine Damen.", "speaker": "S1"},
    {"start_time": 3.0, "end_time": 4.0, "content": "Danke!", "speaker": "S2"},
]
BODY: dict[str, Any] = {
    "format": "2.9",
    "job": {"id": "local", "created_at": "2026-11-29T08:00:00.000Z", "data_name": "a.wav", "duration": 5},
    "metadata": {
        "type": "transcription",
        "transcription_config": {"language": "en", "diarization": "speaker"},
        "output_config": {"srt_overrides": {"max_line_length": 12}},
    },
    "results": [],
    "translations": {"de": SENTENCES, "ja": [{**SENTENCES[0], "content": "こんにちは、皆さん。"}]},
}


class Scripted:
    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.asked: list[str] = []

    def transcribe(self, source, forms, listen):
        self.asked = list(forms)
        return {form: json.dumps(self.body).encode() if form == "json-v2" else b"said\n" for form in forms}


def made(*forms: str, **changes: Any) -> dict[str, Any]:
    (source,) = expanded(["https://media.example/a.wav"])
    return dict(Translator(Scripted({**BODY, **changes})).transcribe(source, forms, lambda _: None))


def test_words_share_the_time_of_their_sentence() -> None:
    items = transcript_of(SENTENCES, "de", BODY["job"]).items
    assert [(item.text, item.start) for item in items if isinstance(item, Word)] == [
        ("Guten", 0),
        ("Tag", 2 * RATE * 5 // 20),
        ("meine", 2 * RATE * 9 // 20),
        ("Damen", 2 * RATE * 14 // 20),
        ("Danke", 3 * RATE),
    ]
    assert [(item.text, item.ends_sentence) for item in items if isinstance(item, Mark)] == [
        (",", False),
        (".", True),
        ("!", True),
    ]
    assert {item.speaker for item in items} == {"S1", "S2"}


def test_formats_of_a_translation_follow_the_options_of_the_job() -> None:
    found = made("txt:de", "srt:de", "txt", "txt:ja", "docx:de")
    assert found["txt:de"].decode() == "SPEAKER: S1\nGuten Tag, meine Damen.\n\nSPEAKER: S2\nDanke!\n"
    cues = found["srt:de"].decode()
    assert cues.startswith("1\n00:00:00,000 --> ")
    assert max(map(len, cues.split("\n\n")[0].splitlines()[2:])) <= 12
    assert found["txt"] == b"said\n"
    assert "こんにちは、皆さん。" in found["txt:ja"].decode()
    assert found["docx:de"][:2] == b"PK"
    assert list(found) == ["txt:de", "srt:de", "txt", "txt:ja", "docx:de"]


def test_a_translation_that_failed_is_told() -> None:
    failure = {"type": "unsupported_translation_pair", "message": "Translation from en to cy currently not supported"}
    with pytest.raises(FileFailed, match="not translated: Translation from en to cy"):
        made("txt:cy", metadata={**BODY["metadata"], "translation_errors": [failure]})
    with pytest.raises(FileFailed, match="no translation into cy"):
        made("txt:cy")


def test_where_translations_go() -> None:
    assert suffixes(("srt", "json-v2"), ("de", "fr"), both=True) == {
        "srt": ".srt",
        "srt:de": ".de.srt",
        "srt:fr": ".fr.srt",
        "json-v2": ".json",
    }
    assert suffixes(("srt",), ("de",), both=False) == {"srt:de": ".de.srt"}
    assert suffixes(("json-v2",), ("de", "fr"), both=False) == {"json-v2": ".json"}
    assert suffixes(("srt",), (), both=False) == {"srt": ".srt"}
    with pytest.raises(click.UsageError, match="several languages of --translate"):
        suffixes(("srt",), ("de", "fr"), both=False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--translate", "xx"], "'xx' is not a language code"),
        (["--translate", "de,fr"], "several languages of --translate"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    done = CliRunner().invoke(main, ["transcribe", str(tmp_path / "a.wav"), *arguments])
    assert done.exit_code == 2
    assert told in done.stderr


def test_a_pair_without_a_backend_ends_before_any_file_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    options = ["--engine", "pocketsphinx", "--language", "en", "--translate", "cy", "--data-dir", str(tmp_path)]
    done = CliRunner().invoke(main, ["transcribe", str(tmp_path / "a.wav"), *options])
    assert done.exit_code == 1
    assert "--translate: cy: not installed on this server" in done.stderr
