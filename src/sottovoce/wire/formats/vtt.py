"""A transcript as WebVTT, a format that the contract does not have; the cues are those of `srt.py`.

Syntax: W3C WebVTT, "WebVTT cue text" and "WebVTT cue voice span".
"""

from sottovoce.request import SubtitleLimits
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import UNKNOWN_SPEAKER, Transcript
from sottovoce.transcript.subtitles import Cue, cues
from sottovoce.wire.formats.srt import stamp

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render(transcript: Transcript, limits: SubtitleLimits, *, named: bool = False) -> str:
    """`WEBVTT` and the cues of *transcript*, with a voice tag where the speaker is known; with *named* else that of the channel."""
    found = cues(transcript.items, pack(transcript.language), limits, end=transcript.duration)
    return "WEBVTT\n\n" + "".join(_block(cue, named=named) for cue in found)


def _block(cue: Cue, *, named: bool) -> str:
    text = "\n".join(line.translate(_ESCAPES) for line in cue.lines)
    return f"{stamp(cue.start, '.')} --> {stamp(cue.end, '.')}\n{_voice(cue, named=named)}{text}\n\n"


def _voice(cue: Cue, *, named: bool) -> str:
    voice = cue.speaker or (cue.channel if named else None)
    name = " ".join((voice or "").split()).translate(_ESCAPES)
    return f"<v {name}>" if name and cue.speaker != UNKNOWN_SPEAKER else ""
