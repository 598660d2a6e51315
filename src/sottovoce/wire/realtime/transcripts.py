"""`AddTranscript`, `AddPartialTranscript` and `EndOfUtterance` from items (contract `realtime.md` §5.1–§5.3).

Members without a value are left out, never null; `alternatives` has exactly one entry with `content`, `confidence` and
`language`, because clients read them without a default (§11).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import LanguagePack, pack
from sottovoce.transcript.model import UNKNOWN_SPEAKER, Entity, Item, Mark, Samples, Word, seconds
from sottovoce.wire.formats.json_v2 import FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a session is written: its *language*; *speakers*: with speaker labels."""

    language: LanguagePack
    speakers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A passage of one channel: its *items* between *start* and *end*. *channel*: the label, in the channel modes."""

    start: Samples
    end: Samples
    items: Sequence[Item] = ()
    channel: str | None = None


def final(passage: Passage, style: Style, *, forced: bool = False) -> dict[str, Any]:
    """`AddTranscript`; its text ends with the delimiter, so that the texts of all finals can be joined (§5.2)."""
    text = join(passage.items, style.language)
    body = _transcript("AddTranscript", passage, style, text + style.language.delimiter if text else "")
    return {**body, "forced": True} if forced else body


def partial(passage: Passage, style: Style) -> dict[str, Any]:
    """`AddPartialTranscript`; its text has no delimiter at the end (§5.2)."""
    return _transcript("AddPartialTranscript", passage, style, join(passage.items, style.language))


def end_of_utterance(at: Samples, channel: str | None, *, forced: bool) -> dict[str, Any]:
    """`EndOfUtterance` at *at*, without a speaker (§5, §6)."""
    body: dict[str, Any] = {
        "message": "EndOfUtterance",
        "format": FORMAT,
        "metadata": {"start_time": seconds(at), "end_time": seconds(at)},
    }
    if channel is not None:
        body["channel"] = channel
    if forced:
        body["forced"] = True
    return body


def _transcript(message: str, passage: Passage, style: Style, text: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "message": message,
        "format": FORMAT,
        "results": [_result(item, style) for item in passage.items],
        "metadata": {"start_time": seconds(passage.start), "end_time": seconds(passage.end), "transcript": text},
    }
    if passage.channel is not None:
        body["channel"] = passage.channel
    return body


def _result(item: Item, style: Style) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "word",
        "start_time": seconds(item.start),
        "end_time": seconds(item.end),
        "alternatives": [_alternative(item, style)],
    }
    match item:
        case Mark():
            body |= {"type": "punctuation", "attaches_to": str(item.attaches), "is_eos": item.ends_sentence}
        case Entity():
            body |= {
                "type": "entity",
                "entity_class": item.entity_class,
                "spoken_form": [_form(part, style) for part in item.spoken],
                "written_form": [_form(part, style) for part in item.written],
            }
        case Word():
            pass
    if not isinstance(item, Mark) and item.volume is not None:
        body["volume"] = round(item.volume, 2)
    return body


def _form(part: Word | Mark, style: Style) -> dict[str, Any]:
    return {
        "type": "punctuation" if isinstance(part, Mark) else "word",
        "start_time": seconds(part.start),
        "end_time": seconds(part.end),
        "alternatives": [_alternative(part, style)],
    }


def _alternative(item: Item, style: Style) -> dict[str, Any]:
    spoken = pack(item.language) if item.language and item.language != style.language.code else style.language
    body: dict[str, Any] = {
        "content": item.text,
        "confidence": 1.0 if item.confidence is None else round(item.confidence, 2),
        "language": spoken.code,
        "display": {"direction": spoken.direction},
    }
    if style.speakers:
        body["speaker"] = item.speaker or UNKNOWN_SPEAKER
    if not isinstance(item, Mark) and item.tags:
        body["tags"] = list(item.tags)
    return body
