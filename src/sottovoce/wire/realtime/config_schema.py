"""Pydantic models of the client's messages (contract `realtime.md` §4); what batch has too comes from `wire/v2/`.

As there, types are strict, unknown members are ignored, and a member that is `null` is absent (§4.1, §4.3).
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sottovoce.request import MAX_RATE, MIN_RATE
from sottovoce.wire.config_values import (
    CONTROL,
    MAX_CODES,
    MAX_LABEL,
    MAX_SOUNDS_LIKE,
    MAX_VOCAB_ENTRIES,
    Code,
    EventType,
    Part,
    between,
    integral,
    one_of,
    refuse,
    unless,
)
from sottovoce.wire.v2.config_schema import SpeakerDiarizationConfig as BatchSpeakerDiarizationConfig
from sottovoce.wire.v2.config_schema import TranscriptionConfig as BatchTranscriptionConfig
from sottovoce.wire.v2.config_schema import VocabItem as BatchVocabItem

# §4.3: removed in 2024
_DIARIZATION_GONE = {
    "speaker_change": "must not be speaker_change, removed in 2024: use speaker",
    "channel_and_speaker_change": "must not be channel_and_speaker_change, removed in 2024: use channel_and_speaker",
}


def _diarization(value: str) -> str:
    if value in _DIARIZATION_GONE:
        refuse(_DIARIZATION_GONE[value], "refused_with_value")
    return value


def _channel_label(value: str) -> str:
    return refuse("must not hold control characters") if CONTROL.search(value) else value


Whole = Annotated[int, BeforeValidator(integral)]
ChannelLabel = Annotated[str, Field(min_length=1, max_length=MAX_LABEL), AfterValidator(_channel_label)]
Spoken = Annotated[str, Field(min_length=1)]


class AudioFormat(Part):
    """`audio_format` (§4.2); clients send `encoding` and `sample_rate` as null with `file`."""

    type: Annotated[str, one_of("raw", "file")]
    encoding: Annotated[str, one_of("pcm_f32le", "pcm_s16le", "mulaw")] | None = None
    # our limits: the contract says that any rate is accepted
    sample_rate: Annotated[Whole, between(MIN_RATE, MAX_RATE)] | None = None


class VocabItem(BatchVocabItem):
    """One entry of `additional_vocab`: a string, or an object (§4.3)."""

    content: Spoken
    sounds_like: Annotated[list[Spoken], Field(min_length=1, max_length=MAX_SOUNDS_LIKE, fail_fast=True)] | None = None


class SpeakerDiarizationConfig(BatchSpeakerDiarizationConfig):
    """`speaker_diarization_config` (§4.3)."""

    max_speakers: Annotated[Whole, unless(lambda value: value < 2, "must be 2 or more")] | None = None  # noqa: PLR2004


class ConversationConfig(Part):
    """`conversation_config` (§4.3)."""

    end_of_utterance_silence_trigger: Annotated[float, between(0, 2)] | None = None


class TranscriptionConfig(BatchTranscriptionConfig):
    """`transcription_config` (§4.3). `streaming_mode` and `ctrl` have no effect, but some SDK releases send them."""

    additional_vocab: Annotated[list[VocabItem], Field(max_length=MAX_VOCAB_ENTRIES, fail_fast=True)] | None = None  # type: ignore[assignment]
    diarization: (
        Annotated[str, AfterValidator(_diarization), one_of("none", "speaker", "channel", "channel_and_speaker")] | None
    ) = None
    # the number of channels depends on the server; `config.py` checks it
    channel_diarization_labels: Annotated[list[ChannelLabel], Field(max_length=MAX_CODES, fail_fast=True)] | None = None
    speaker_diarization_config: SpeakerDiarizationConfig | None = None
    conversation_config: ConversationConfig | None = None
    max_delay: float | None = None  # any number is moved to the nearest limit (§14)


class TranslationConfig(Part):
    """`translation_config` (§4.4): two clients send it empty; `config.py` checks the number of targets."""

    target_languages: Annotated[list[Code], Field(max_length=MAX_CODES, fail_fast=True)] | None = None
    enable_partials: bool | None = None


class AudioEventsConfig(Part):
    """`audio_events_config` (§4.5)."""

    types: Annotated[list[EventType], Field(fail_fast=True)] | None = None


class StartRecognition(Part):
    """`StartRecognition` (§4.1)."""

    audio_format: AudioFormat
    transcription_config: TranscriptionConfig
    translation_config: TranslationConfig | None = None
    audio_events_config: AudioEventsConfig | None = None


class SetRecognitionConfig(Part):
    """`SetRecognitionConfig` (§4.6); its config is merged into the running one before it is checked."""

    transcription_config: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls_of_config(cls, data: Any) -> Any:
        config = data.get("transcription_config") if isinstance(data, dict) else None
        if not isinstance(config, dict):
            return data
        given = {name: value for name, value in config.items() if value is not None}
        return {**data, "transcription_config": given}


class AddChannelAudio(Part):
    """`AddChannelAudio` (§4.6); `data` is base64."""

    channel: str
    data: str


class EndOfStream(Part):
    """`EndOfStream` (§4.6); the number is not compared with anything, because clients count differently."""

    last_seq_no: Whole | None = None


class EndOfChannel(EndOfStream):
    """`EndOfChannel` (§4.6)."""

    channel: str


class ForceEndOfUtterance(Part):
    """`ForceEndOfUtterance` (§4.6)."""

    channel: str | None = None
    timestamp: Annotated[float, unless(lambda value: value < 0, "must not be negative")] | None = None


class GetSpeakers(Part):
    """`GetSpeakers` (§4.6)."""

    final: bool | None = None
