"""The server's messages except transcripts (contract `realtime.md` §5, §7–§9)."""

from collections.abc import Sequence
from typing import Any

from sottovoce.request import AudioType, LiveRequest
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Speaker
from sottovoce.wire.formats.json_v2 import language_pack_info
from sottovoce.wire.realtime.errors import ErrorType, WarningType

BROADCAST_RATE = 12_000
"""Hz; raw audio with a lower rate is of telephony quality (§4.2)."""


def recognition_started(session_id: str, version: str, request: LiveRequest) -> dict[str, Any]:
    """`RecognitionStarted`; both names of the list of channels, in the channel modes only (§5, §14)."""
    body: dict[str, Any] = {
        "message": "RecognitionStarted",
        "id": session_id,
        "orchestrator_version": version,
        "language_pack_info": language_pack_info(pack(request.language), adapted=False),
    }
    if request.channels:
        body |= {"channel_ids": list(request.channels), "channels": list(request.channels)}
    return body


def audio_added(seq_no: int, channel: str | None = None) -> dict[str, Any]:
    """`AudioAdded`, or `ChannelAudioAdded` for the audio of *channel*; *seq_no* counts from 1 (§5)."""
    if channel is None:
        return {"message": "AudioAdded", "seq_no": seq_no}
    return {"message": "ChannelAudioAdded", "channel": channel, "seq_no": seq_no}


def recognition_quality(request: LiveRequest) -> dict[str, Any]:
    """`Info recognition_quality` (§7)."""
    rate = request.audio.sample_rate
    telephony = request.audio.type is AudioType.RAW and rate is not None and rate < BROADCAST_RATE
    quality = "telephony" if telephony else "broadcast"
    reason = f"Running recognition using a {quality} model quality."
    return {"message": "Info", "type": "recognition_quality", "reason": reason, "quality": quality}


def concurrent_session_usage(usage: int, quota: int, last_updated: str, region: str) -> dict[str, Any]:
    """`Info concurrent_session_usage` (§7); sent before `RecognitionStarted` or never."""
    return {
        "message": "Info",
        "type": "concurrent_session_usage",
        "reason": f"{usage} concurrent sessions active out of quota {quota}",
        "usage": usage,
        "quota": quota,
        "last_updated": last_updated,
        "region": region,
    }


def warning(kind: WarningType, reason: str, *, duration_limit: float | None = None) -> dict[str, Any]:
    """`Warning` (§8); old clients read `reason` of every one."""
    body: dict[str, Any] = {"message": "Warning", "type": str(kind), "reason": reason}
    return body if duration_limit is None else {**body, "duration_limit": duration_limit}


def error(kind: ErrorType, reason: str) -> dict[str, Any]:
    """`Error` (§9)."""
    return {"message": "Error", "type": str(kind), "reason": reason}


def speakers_result(speakers: Sequence[Speaker]) -> dict[str, Any]:
    """`SpeakersResult` with the *speakers* that have identifiers; also without any, because clients wait for an answer (§4.6)."""
    found = [{"label": each.label, "speaker_identifiers": list(each.prints)} for each in speakers if each.prints]
    return {"message": "SpeakersResult", "speakers": found}


def end_of_transcript() -> dict[str, Any]:
    """`EndOfTranscript`, the last message (§3)."""
    return {"message": "EndOfTranscript"}
