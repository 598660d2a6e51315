"""The server's messages (contract `agent-stt.md` §3). Their objects are closed: no `format`, no `results`."""

from collections.abc import Sequence
from typing import Any

from sottovoce.request import LiveRequest
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import UNKNOWN_SPEAKER, Item, Samples, seconds


def recognition_started(session_id: str, version: str, request: LiveRequest) -> dict[str, Any]:
    """`RecognitionStarted`; clients join segments with `word_delimiter`."""
    language = pack(request.language)
    return {
        "message": "RecognitionStarted",
        "id": session_id,
        "orchestrator_version": version,
        "language_pack_info": {
            "word_delimiter": language.delimiter,
            "writing_direction": language.writing_direction,
        },
    }


def concurrent_session_usage(usage: int, quota: int) -> dict[str, Any]:
    """`Info concurrent_session_usage`, without figures of its own."""
    reason = f"{usage} concurrent sessions active out of quota {quota}"
    return {"message": "Info", "type": "concurrent_session_usage", "reason": reason}


def recognition_quality() -> dict[str, Any]:
    """`Info recognition_quality`; there is one quality."""
    reason = "Running recognition using a broadcast model quality."
    return {"message": "Info", "type": "recognition_quality", "reason": reason, "quality": "broadcast"}


def warning(reason: str) -> dict[str, Any]:
    """`Warning` without a type, for what the types of §3 do not name."""
    return {"message": "Warning", "reason": reason}


def segment(
    items: Sequence[Item], start: Samples, end: Samples, request: LiveRequest, *, final: bool
) -> dict[str, Any]:
    """`AddSegment`, or `AddPartialSegment`: the text of *items*, without a delimiter at its end.

    A partial one in which the speaker seems to change has no speaker: it may become two segments.
    """
    body: dict[str, Any] = {"transcript": join(items, pack(request.language)).strip()}
    if request.diarization.by_speaker:
        speakers = {item.speaker or UNKNOWN_SPEAKER for item in items}
        if len(speakers) == 1:
            body["speaker"] = speakers.pop()
    return {
        "message": "AddSegment" if final else "AddPartialSegment",
        "segment": body,
        "metadata": {"start_time": seconds(start), "end_time": seconds(end)},
    }


def speech_started(at: Samples) -> dict[str, Any]:
    """`SpeechStarted`."""
    return {"message": "SpeechStarted", "metadata": {"start_time": seconds(at)}}


def speech_ended(at: Samples) -> dict[str, Any]:
    """`SpeechEnded`."""
    return {"message": "SpeechEnded", "metadata": {"end_time": seconds(at)}}


def start_of_turn(at: Samples) -> dict[str, Any]:
    """`StartOfTurn`: *at* is the start of its first word."""
    return {"message": "StartOfTurn", "metadata": {"start_time": seconds(at)}}


def end_of_turn(at: Samples) -> dict[str, Any]:
    """`EndOfTurn`, the last message of a turn."""
    return {"message": "EndOfTurn", "metadata": {"end_time": seconds(at)}}
