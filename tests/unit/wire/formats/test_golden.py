"""Every format of every golden transcript, byte for byte.

`SOTTOVOCE_REWRITE_GOLDEN=1` writes what is rendered now; read the difference before it is committed. A further format is
a further line in `RENDERERS`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from sottovoce.job import State
from sottovoce.request import Diarization, SubtitleLimits
from sottovoce.transcript import codec
from sottovoce.transcript.model import RATE, UNKNOWN_SPEAKER, Entity, Transcript
from sottovoce.wire.formats import json_v2 as v2_transcript
from sottovoce.wire.formats import srt, txt, vtt
from sottovoce.wire.v2.job import JobView

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
NAMES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
LIMITS = SubtitleLimits()


def diarization(transcript: Transcript) -> Diarization:
    """What must have been asked for to get *transcript*."""
    if transcript.channels:
        return Diarization.CHANNEL
    spoken = {item.speaker for item in transcript.items} - {None, UNKNOWN_SPEAKER}
    return Diarization.SPEAKER if spoken else Diarization.NONE


def view(transcript: Transcript) -> JobView:
    """The job that *transcript* came from: half a minute older, its config part made of what must have been asked for."""
    return JobView(
        id="go1d3nj0b0",
        state=State.DONE,
        created_at=transcript.created_at - 30_258,
        data_name="golden ünïcode.wav",
        duration_ms=transcript.duration * 1000 // RATE,
        config={
            "type": "transcription",
            "transcription_config": {
                "language": transcript.language,
                "diarization": str(diarization(transcript)),
                "additional_vocab": [{"content": "Sottovoce", "sounds_like": ["sotto voce"]}],
                **({"enable_entities": True} if any(isinstance(item, Entity) for item in transcript.items) else {}),
                **({"speaker_diarization_config": {"get_speakers": True}} if transcript.speakers else {}),
            },
            "output_config": {"srt_overrides": {"max_lines": 2}},
            "notification_config": [{"url": "https://example.test/hook", "auth_headers": ["Authorization: secret"]}],
            "tracking": {"title": "Golden", "reference": "G-1", "tags": ["a", "b"], "details": {"deep": [1, None]}},
        },
    )


def json_v2(transcript: Transcript) -> bytes:
    """As it is sent, but folded for the reader of a difference."""
    source = v2_transcript.Source(transcript=transcript, job=view(transcript), version="1.2.3")
    return orjson.dumps(v2_transcript.render(source), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


RENDERERS: dict[str, Callable[[Transcript], bytes]] = {
    "transcript.json": codec.encode,
    "expected.json": json_v2,
    "expected.txt": lambda transcript: txt.render(transcript, diarization=diarization(transcript)).encode(),
    "expected.srt": lambda transcript: srt.render(transcript, LIMITS).encode(),
    "expected.vtt": lambda transcript: vtt.render(transcript, LIMITS).encode(),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file", RENDERERS)
def test_golden(name: str, file: str) -> None:
    transcript = codec.decode((GOLDEN / name / "transcript.json").read_bytes())
    rendered = RENDERERS[file](transcript)
    if os.environ.get("SOTTOVOCE_REWRITE_GOLDEN"):
        (GOLDEN / name / file).write_bytes(rendered)
    assert rendered.decode() == (GOLDEN / name / file).read_bytes().decode()


@pytest.mark.parametrize("old", sorted(GOLDEN.glob("*/transcript.v*.json")), ids=lambda path: path.parent.name)
def test_what_older_releases_stored_is_read_as_what_we_store(old: Path) -> None:
    assert codec.encode(codec.decode(old.read_bytes())) == old.with_name("transcript.json").read_bytes()


def test_there_is_something_to_compare() -> None:
    assert len(NAMES) >= 12
