"""A transcript as SubRip subtitles (contract §8.2)."""

from collections.abc import Iterable

from sottovoce.request import SubtitleLimits
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, Samples, Transcript
from sottovoce.transcript.subtitles import Cue, cues


def render(transcript: Transcript, limits: SubtitleLimits, *, named: bool = False) -> str:
    """The cues of *transcript*, numbered from 1, each followed by an empty line; empty for a transcript without words.

    Cues do not name speakers or channels, because the contract documents none; with *named* they do where the voice changes.
    """
    found = cues(transcript.items, pack(transcript.language), limits, end=transcript.duration, labelled=named)
    return layout(found)


def layout(found: Iterable[Cue]) -> str:
    """The text of an SRT file with the cues *found*, numbered from 1."""
    return "".join(_block(number, cue) for number, cue in enumerate(found, start=1))


def _block(number: int, cue: Cue) -> str:
    return "\n".join([str(number), f"{stamp(cue.start)} --> {stamp(cue.end)}", *cue.lines, "", ""])


def stamp(at: Samples, point: str = ",") -> str:
    """*at* as `HH:MM:SS,mmm`, truncated to milliseconds so that adjacent cues do not overlap."""
    whole, part = divmod(max(0, at), RATE)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}{point}{part * 1000 // RATE:03d}"
