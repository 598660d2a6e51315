"""The stored form of a transcript: compact UTF-8 JSON with one-letter members and a version, decoded strictly.

Members that are `None` or have their default value are left out, times are samples, numbers are not rounded. All output
formats are made from the stored form, so a change of its structure increases `VERSION` and keeps the decoder of the older
version.

In order: encoding and decoding of transcripts and items; generic reading and writing of members; the tables of members.
"""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from sottovoce.transcript.model import (
    Attaches,
    Entity,
    Identification,
    Item,
    LanguageScore,
    Mark,
    Speaker,
    StageError,
    StageResult,
    Transcript,
    Word,
)

VERSION = 3
"""The newest version that `decode` reads.

Version 2 added the speakers of a transcript, version 3 the results of stages. `encode` writes the oldest version that can
represent a transcript, so that servers of two releases can work on the same jobs.
"""

_WITHOUT_RESULTS = 2

_REQUIRED = object()


def encode(transcript: Transcript) -> bytes:
    """The stored form of *transcript*, about 60 bytes per word.

    Raises ValueError for values that JSON in UTF-8 cannot represent (a lone surrogate, a number that is not finite).
    """
    version = VERSION if transcript.results else _WITHOUT_RESULTS
    return _dump({"v": version, **_write(transcript, _TRANSCRIPT)})


def decode(data: bytes) -> Transcript:
    """The transcript from the output *data* of `encode`.

    Raises ValueError for a newer version, for data that is not JSON, and for a member that is missing, unknown or of the
    wrong type. The message names members and never quotes the text.
    """
    raw = _load(data)
    if not isinstance(raw, dict):
        raise ValueError("the stored transcript is not a JSON object")  # noqa: TRY004 - one error for all bad data
    return Transcript(**_read(raw, _SHAPES[_version(raw.pop("v", None))], "transcript"))


def encode_items(items: Iterable[Item]) -> list[dict[str, object]]:
    """*items* as values that JSON can represent."""
    return [_write_item(item) for item in items]


def decode_items(raw: object) -> tuple[Item, ...]:
    """The items from the output *raw* of `encode_items`. Raises ValueError like `decode`."""
    return tuple(_read_item(each) for each in _list(raw))


def dump_items(items: Iterable[Item]) -> bytes:
    """*items* as bytes: the stored result of one window."""
    return _dump({"v": _WITHOUT_RESULTS, "i": encode_items(items)})


def load_items(data: bytes) -> tuple[Item, ...]:
    """The items from the output *data* of `dump_items`, of any version up to `VERSION`. Raises ValueError like `decode`."""
    raw = _load(data)
    if not isinstance(raw, dict) or raw.keys() != {"v", "i"}:
        raise ValueError("not the items of a window")
    _version(raw["v"])  # items are encoded the same way in all versions
    return decode_items(raw["i"])


def _version(given: object) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise ValueError("the stored version is missing or not a positive whole number")
    if given > VERSION:
        raise ValueError(f"stored by a newer release (version {given}); this one reads up to version {VERSION}")
    return given


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _load(data: bytes) -> object:
    try:
        value: object = json.loads(data.decode(), parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """One attribute *name*: the functions that decode and encode it, and the default value that is left out."""

    name: str
    read: Callable[[object], Any]
    write: Callable[[Any], object] = _same
    default: object = None


_Shape = dict[str, _Field]


def _write(value: object, shape: _Shape) -> dict[str, object]:
    written: dict[str, object] = {}
    for key, field in shape.items():
        held = getattr(value, field.name)
        if held is not None and held != field.default:
            written[key] = field.write(held)
    return written


def _read(raw: object, shape: _Shape, what: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ValueError(f"{what}: not an object")  # noqa: TRY004
    values: dict[str, Any] = {}
    for key, value in raw.items():
        field = shape.get(key)
        if field is None:
            raise ValueError(f"{what}: unknown member")
        try:
            values[field.name] = field.read(value)
        except ValueError as error:
            raise ValueError(f"{what}.{field.name}: {error}") from error
    for field in shape.values():
        if field.default is _REQUIRED and field.name not in values:
            raise ValueError(f"{what}.{field.name}: missing")
    return values


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a string")  # noqa: TRY004
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("not a whole number")  # noqa: TRY004
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError("too large a number") from error
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("not true or false")  # noqa: TRY004
    return value


def _attaches(value: object) -> Attaches:
    return Attaches(_text(value))


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("not a list")  # noqa: TRY004
    return value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(each) for each in _list(value))


def _read_item(raw: object) -> Item:
    if isinstance(raw, dict) and "x" in raw:
        return Entity(**_read(raw, _ENTITY, "entity"))
    return _read_spoken(raw)


def _read_spoken(raw: object) -> Word | Mark:
    if isinstance(raw, dict) and "m" in raw:
        return Mark(**_read(raw, _MARK, "mark"))
    return _read_word(raw)


def _read_word(raw: object) -> Word:
    return Word(**_read(raw, _WORD, "word"))


def _write_item(item: Item) -> dict[str, object]:
    if isinstance(item, Entity):
        return _write(item, _ENTITY)
    return _write(item, _MARK if isinstance(item, Mark) else _WORD)


def _read_error(raw: object) -> StageError:
    return StageError(**_read(raw, _ERROR, "error"))


def _read_score(raw: object) -> LanguageScore:
    return LanguageScore(**_read(raw, _SCORE, "score"))


def _read_result(raw: object) -> StageResult:
    return StageResult(**_read(raw, _RESULT, "result"))


def _read_speaker(raw: object) -> Speaker:
    return Speaker(**_read(raw, _SPEAKER, "speaker"))


def _read_identification(raw: object) -> Identification:
    return Identification(**_read(raw, _IDENTIFICATION, "identification"))


_VOICE: _Shape = {
    "c": _Field(name="confidence", read=_number),
    "l": _Field(name="language", read=_text),
    "p": _Field(name="speaker", read=_text),
    "h": _Field(name="channel", read=_text),
}
_SPAN: _Shape = {
    "s": _Field(name="start", read=_whole, default=_REQUIRED),
    "e": _Field(name="end", read=_whole, default=_REQUIRED),
}
_EXTRAS: _Shape = {
    "v": _Field(name="volume", read=_number),
    "g": _Field(name="tags", read=_texts, write=list, default=()),
}
_WORD: _Shape = {"w": _Field(name="text", read=_text, default=_REQUIRED), **_SPAN, **_VOICE, **_EXTRAS}
_MARK: _Shape = {
    "m": _Field(name="text", read=_text, default=_REQUIRED),
    "s": _Field(name="at", read=_whole, default=_REQUIRED),
    "a": _Field(name="attaches", read=_attaches, write=str, default=Attaches.PREVIOUS),
    "z": _Field(name="ends_sentence", read=_boolean, default=False),
    **_VOICE,
}
_ENTITY: _Shape = {
    "x": _Field(name="text", read=_text, default=_REQUIRED),
    "k": _Field(name="entity_class", read=_text, default=_REQUIRED),
    **_SPAN,
    "o": _Field(
        name="spoken",
        read=lambda raw: tuple(_read_spoken(each) for each in _list(raw)),
        write=encode_items,
        default=_REQUIRED,
    ),
    "n": _Field(
        name="written",
        read=lambda raw: tuple(_read_word(each) for each in _list(raw)),
        write=encode_items,
        default=_REQUIRED,
    ),
    **_VOICE,
    **_EXTRAS,
}
_ERROR: _Shape = {
    "f": _Field(name="feature", read=_text, default=_REQUIRED),
    "t": _Field(name="type", read=_text, default=_REQUIRED),
    "m": _Field(name="message", read=_text, default=_REQUIRED),
}
_SCORE: _Shape = {
    "l": _Field(name="language", read=_text, default=_REQUIRED),
    "c": _Field(name="confidence", read=_number, default=_REQUIRED),
}
_IDENTIFICATION: _Shape = {
    "a": _Field(
        name="alternatives",
        read=lambda raw: tuple(_read_score(each) for each in _list(raw)),
        write=lambda scores: [_write(score, _SCORE) for score in scores],
        default=_REQUIRED,
    ),
    **_SPAN,
    "f": _Field(name="error", read=_text),
    "m": _Field(name="message", read=_text),
}
_SPEAKER: _Shape = {
    "l": _Field(name="label", read=_text, default=_REQUIRED),
    "f": _Field(name="pitch", read=_number),
    "p": _Field(name="prints", read=_texts, write=list, default=()),
}
_RESULT: _Shape = {
    "n": _Field(name="name", read=_text, default=_REQUIRED),
    "v": _Field(name="value", read=_same, default=_REQUIRED),
}
_TRANSCRIPT_V1: _Shape = {
    "l": _Field(name="language", read=_text, default=_REQUIRED),
    "d": _Field(name="duration", read=_whole, default=_REQUIRED),
    "t": _Field(name="created_at", read=_whole, default=_REQUIRED),
    "h": _Field(name="channels", read=_texts, write=list, default=()),
    "r": _Field(name="engine", read=_text, default=""),
    "a": _Field(name="adapted", read=_boolean, default=False),
    "x": _Field(
        name="errors",
        read=lambda raw: tuple(_read_error(each) for each in _list(raw)),
        write=lambda errors: [_write(error, _ERROR) for error in errors],
        default=(),
    ),
    "n": _Field(
        name="identification",
        read=_read_identification,
        write=lambda found: _write(found, _IDENTIFICATION),
    ),
    "i": _Field(name="items", read=decode_items, write=encode_items, default=()),
}
_TRANSCRIPT_V2: _Shape = {
    **{key: field for key, field in _TRANSCRIPT_V1.items() if key != "i"},
    "p": _Field(
        name="speakers",
        read=lambda raw: tuple(_read_speaker(each) for each in _list(raw)),
        write=lambda speakers: [_write(speaker, _SPEAKER) for speaker in speakers],
        default=(),
    ),
    "i": _TRANSCRIPT_V1["i"],
}
_TRANSCRIPT: _Shape = {
    **_TRANSCRIPT_V2,
    "z": _Field(
        name="results",
        read=lambda raw: tuple(_read_result(each) for each in _list(raw)),
        write=lambda results: [_write(result, _RESULT) for result in results],
        default=(),
    ),
}
_SHAPES: dict[int, _Shape] = {1: _TRANSCRIPT_V1, 2: _TRANSCRIPT_V2, 3: _TRANSCRIPT}
