"""Rules of good subtitles, checked on the files of every golden transcript: what is sent, not how it is made."""

import html
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from sottovoce.request import SubtitleLimits
from sottovoce.transcript import codec
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, seconds
from sottovoce.transcript.subtitles import HURRY, PAUSE, READING_SPEED, READING_SPEEDS, SHORTEST

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
FILES = sorted(GOLDEN.glob("*/expected.srt")) + sorted(GOLDEN.glob("*/expected.vtt"))
TIME = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{3})")
LEAST, GAP = SHORTEST / RATE, PAUSE / RATE
CLOSE = 0.5  # seconds; a shorter gap is `GAP`

LONG_WORDS = {"long_words"}  # words longer than a line have the lines and the reading time that they have


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    start: float
    end: float
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.lines)


def cues(path: Path) -> list[Shown]:
    found = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        lines = block.strip("\n").split("\n")
        at = next((n for n, line in enumerate(lines) if " --> " in line and TIME.match(line)), None)
        if at is None:
            assert block.strip() in {"", "WEBVTT"}
            continue
        start, end = (_seconds(each) for each in lines[at].split(" --> "))
        shown = tuple(lines[at + 1 :])
        if path.suffix == ".vtt":
            shown = tuple(html.unescape(re.sub(r"^<v [^>]*>", "", line)) for line in shown)
        found.append(Shown(start=start, end=end, lines=shown))
    return found


def _seconds(text: str) -> float:
    match = TIME.fullmatch(text)
    assert match
    hour, minute, second, part = map(int, match.groups())
    return hour * 3600 + minute * 60 + second + part / 1000


@pytest.fixture(params=FILES, ids=lambda path: f"{path.parent.name}{path.suffix}")
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_cues_do_not_overlap_and_gaps_do_not_flicker(file: Path) -> None:
    for one, two in pairwise(cues(file)):
        gap = two.start - one.end
        assert gap >= GAP - 0.002, (one, two)
        assert gap <= GAP + 0.002 or gap >= CLOSE - 0.002, (one, two)


def test_cues_stay_long_enough(file: Path) -> None:
    found = cues(file)
    end = seconds(codec.decode((file.parent / "transcript.json").read_bytes()).duration)
    for cue in found:
        at_the_end = cue is found[-1] and cue.end >= end - 0.01
        assert cue.end - cue.start >= LEAST - 0.002 or at_the_end, cue
        assert cue.end - cue.start <= 7.01 or len(cue.text.split()) == 1, cue


def test_cues_last_until_they_are_read_or_the_next_one_starts(file: Path) -> None:
    transcript = codec.decode((file.parent / "transcript.json").read_bytes())
    speed = READING_SPEEDS.get(transcript.language, READING_SPEED)
    found = cues(file)
    for number, cue in enumerate(found):
        bound = found[number + 1].start - GAP if number + 1 < len(found) else seconds(transcript.duration)
        read = sum(map(len, cue.lines)) / (cue.end - cue.start) <= speed * 1.01
        assert read or cue.end >= bound - 0.01 or cue.end - cue.start > 6.9, cue


def test_people_who_speak_at_once_can_be_read() -> None:
    for cue in cues(GOLDEN / "overlapping_channels" / "expected.srt"):
        assert sum(map(len, cue.lines)) / (cue.end - cue.start) <= READING_SPEED * HURRY * 1.01, cue


def test_lines_fit_and_break_at_clauses(file: Path) -> None:
    limits = SubtitleLimits()
    language = pack(codec.decode((file.parent / "transcript.json").read_bytes()).language)
    for cue in cues(file):
        assert 1 <= len(cue.lines) <= limits.max_lines
        if file.parent.name in LONG_WORDS:
            continue
        assert all(len(line) <= limits.max_line_length for line in cue.lines), cue
        for one, two in pairwise(cue.lines):
            first = re.split(r"\s+", two)[0]
            joined = f"{one} {first}"
            fits = len(joined) <= limits.max_line_length and language.delimiter
            ends_clause = first.endswith((",", ".", "?", "!", ":", ";"))
            assert not (fits and ends_clause and not one.endswith((",", ".", "?", "!", ":", ";"))), cue


def test_no_word_stands_alone_for_a_moment(file: Path) -> None:
    for cue in cues(file):
        assert len(cue.text.split()) > 1 or cue.end - cue.start >= LEAST - 0.1, cue
