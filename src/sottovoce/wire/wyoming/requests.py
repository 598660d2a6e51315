"""What a Wyoming client asks for: a transcription, and the format of its audio."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sottovoce.wire.openai_audio.languages import contract_language
from sottovoce.wire.openai_audio.vocabulary import phrases
from sottovoce.wire.wyoming.events import Event, Malformed

RATES = (8_000, 96_000)
"""Hz, the least and the most of audio."""
MAX_CHANNELS = 8
WIDTH = 2
"""Bytes of a sample: 16 bits, little endian, the only width."""
MAX_WORDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribe:
    """The *language* (the contract's code, or None for the default one) and the custom *words* of the next audio."""

    language: str | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """16-bit samples at *rate* Hz; *channels* of them alternate."""

    rate: int
    channels: int


def transcribe(event: Event) -> Transcribe:
    """The request in the event `transcribe`. Raises `Malformed`."""
    language = event.data.get("language")
    if not (language is None or isinstance(language, str)) or len(language or "") > 100:  # noqa: PLR2004
        raise Malformed("language must be a short string")
    words = (*_words(event, "transcript_names"), *_words(event, "transcript_terms"))
    return Transcribe(language=contract_language(language) if language else None, words=phrases(words)[:MAX_WORDS])


def _words(event: Event, name: str) -> Sequence[str]:
    given = event.data.get(name) or []
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise Malformed(f"{name} must be a list of strings")
    return given


def audio_format(event: Event) -> AudioFormat:
    """The format in the event `audio-start` or `audio-chunk`. Raises `Malformed` for one that is not supported."""
    rate, width, channels = (_whole(event, name) for name in ("rate", "width", "channels"))
    if width != WIDTH:
        raise Malformed(f"audio must have samples of {WIDTH} bytes, got {width}")
    if not RATES[0] <= rate <= RATES[1]:
        raise Malformed(f"the rate of audio must be from {RATES[0]} to {RATES[1]} Hz, got {rate}")
    if not 1 <= channels <= MAX_CHANNELS:
        raise Malformed(f"audio must have 1 to {MAX_CHANNELS} channels, got {channels}")
    return AudioFormat(rate=rate, channels=channels)


def _whole(event: Event, name: str) -> int:
    value = event.data.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(f"{name} of the audio must be a whole number")
    return value


def mono(payload: bytes, channels: int) -> bytes:
    """*payload*, 16-bit samples, reduced to its first channel; an incomplete sample at its end is dropped.

    The microphones of voice satellites carry the same speech on all channels.
    """
    frame = WIDTH * channels
    whole = payload[: len(payload) // frame * frame]
    if channels == 1:
        return whole
    samples = memoryview(whole).cast("h")
    return samples[::channels].tobytes()


def start_recognition(asked: Transcribe, audio: AudioFormat, default: str, max_delay: float) -> dict[str, Any]:
    """The first message of the realtime session for *asked* (contract `realtime.md` §4)."""
    config: dict[str, Any] = {"language": asked.language or default, "max_delay": max_delay, "enable_partials": False}
    if asked.words:
        config["additional_vocab"] = [{"content": word} for word in asked.words]
    return {
        "message": "StartRecognition",
        "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": audio.rate},
        "transcription_config": config,
    }
