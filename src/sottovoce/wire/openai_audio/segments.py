"""Segments of a transcript as OpenAI's answers have them: whole sentences with times, and turns of speakers."""

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sottovoce.transcript.entities.items import as_words
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, UNKNOWN_SPEAKER, Item, Mark, Samples, seconds
from sottovoce.transcript.timeline import Unit, units

PAUSE: Samples = 2 * RATE
"""Silence (2 s) that ends a segment within a sentence."""
LONGEST: Samples = 30 * RATE
"""Longest segment (30 s), as with Whisper."""
_FRAMES = 100  # frames of Whisper's features per second, the unit of `seek`
_LEAST = 1e-4  # the least confidence of a word: its logarithm must be finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A sentence or a part of one, of one *speaker*; *items* is not empty."""

    items: tuple[Item, ...]
    speaker: str

    @property
    def start(self) -> Samples:
        """The start of its first word."""
        return self.items[0].start

    @property
    def end(self) -> Samples:
        """The end of its last word."""
        return max(item.end for item in self.items)


def segments(items: Iterable[Item]) -> Iterator[Segment]:
    """The segments of *items*: one ends with a sentence, at a change of speaker, at a pause of `PAUSE`, and at `LONGEST`."""
    begun: list[Unit] = []
    for unit in units(as_words(items)):
        if begun and _ends(begun, unit):
            yield _segment(begun)
            begun = []
        begun.append(unit)
    if begun:
        yield _segment(begun)


def _ends(begun: Sequence[Unit], unit: Unit) -> bool:
    last = begun[-1]
    ended = any(isinstance(item, Mark) and item.ends_sentence for item in last)
    silence = unit[0].start - max(item.end for item in last)
    too_long = max(item.end for item in unit) - begun[0][0].start > LONGEST
    return ended or silence >= PAUSE or too_long or _speaker(unit) != _speaker(last)


def _segment(begun: Sequence[Unit]) -> Segment:
    return Segment(items=tuple(item for unit in begun for item in unit), speaker=_speaker(begun[0]))


def _speaker(unit: Unit) -> str:
    lead = next((item for item in unit if not isinstance(item, Mark)), unit[0])
    return lead.speaker or UNKNOWN_SPEAKER


def segment_object(number: int, segment: Segment, language: LanguagePack) -> dict[str, Any]:
    """The segment object of `verbose_json`.

    `avg_logprob` is the mean logarithm of the words' confidence. What the transcript does not tell has the value of an
    ordinary segment: no tokens, temperature 0, probability 0 that there is no speech.
    """
    text = language.delimiter + join(segment.items, language)
    return {
        "id": number,
        "seek": segment.start * _FRAMES // RATE,
        "start": seconds(segment.start),
        "end": seconds(segment.end),
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(_log_confidence(segment.items), 4),
        "compression_ratio": round(_compression(text), 4),
        "no_speech_prob": 0.0,
    }


def _log_confidence(items: Sequence[Item]) -> float:
    logs = [
        math.log(max(item.confidence, _LEAST))
        for item in items
        if not isinstance(item, Mark) and item.confidence is not None
    ]
    return sum(logs) / len(logs) if logs else 0.0


def _compression(text: str) -> float:
    """Bytes of *text* for each byte of it compressed: repetitions raise it (openai/whisper, `compression_ratio`)."""
    raw = text.encode("utf-8", "replace")
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def word_objects(items: Iterable[Item]) -> list[dict[str, Any]]:
    """The words of `verbose_json`, without marks."""
    return [
        {"word": item.text, "start": seconds(item.start), "end": seconds(item.end)}
        for item in as_words(items)
        if not isinstance(item, Mark)
    ]


# ── speakers ──


def turns(items: Iterable[Item]) -> Iterator[Segment]:
    """The sentences of *items*, those of one speaker that follow each other joined up to `LONGEST`."""
    held: Segment | None = None
    for segment in segments(items):
        if held is not None and held.speaker == segment.speaker and segment.end - held.start <= LONGEST:
            held = Segment(items=held.items + segment.items, speaker=held.speaker)
            continue
        if held is not None:
            yield held
        held = segment
    if held is not None:
        yield held


def turn_object(number: int, turn: Segment, language: LanguagePack) -> dict[str, Any]:
    """The segment object of `diarized_json`; also the event of a stream."""
    return {
        "type": "transcript.text.segment",
        "id": f"seg_{number:03}",
        "start": seconds(turn.start),
        "end": seconds(turn.end),
        "text": language.delimiter + join(turn.items, language),
        "speaker": letters(turn.speaker),
    }


def letters(label: str) -> str:
    """OpenAI's name of the speaker *label*: A for S1, B for S2, AA for S27; `unknown` without a speaker."""
    number = int(label[1:]) if label[:1] == "S" and label[1:].isdecimal() and len(label) < 8 else 0  # noqa: PLR2004
    if number < 1:
        return "unknown" if label == UNKNOWN_SPEAKER else label
    name = ""
    while number > 0:
        number, digit = divmod(number - 1, 26)
        name = chr(ord("A") + digit) + name
    return name
