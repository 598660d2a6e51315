"""Values of a config (contract §6): limits, validators, types, and the base of the models in `v2/config_schema.py`.

They are strict about JSON types: a string or a boolean is not a number; an integer is accepted where a fraction is allowed.
Validators raise `PydanticCustomError` of type `refused`, or `refused_with_value` if the message already names the value; the
message continues "<field> …" and never quotes the caller's text.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NoReturn, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from sottovoce.wire.formats.table import FORMATS

MAX_VOCAB_ENTRIES = 1_000
"""Entries of `additional_vocab` (contract §6.2, §11)."""
MAX_SOUNDS_LIKE = 100
"""Pronunciations of one entry; our choice: the contract names no limit."""
MAX_CHANNELS = 100
"""Channel labels (contract §6.2, §11)."""
MAX_IDENTIFIERS = 50
"""Speaker identifiers of a request, all speakers together (contract §6.2, §11)."""
MAX_NOTIFICATIONS = 3
"""Notification URLs of a job (contract §9, §11)."""
MAX_TARGETS = 5
"""Translation targets (contract §6.1, §11)."""
MAX_REPLACEMENTS = 1_000
"""Replacement rules; our choice: the contract names no limit, and each rule is tried on each word."""
MAX_RULE = 4_000
"""Characters of either side of a replacement rule; our choice, equal to the limit of a vocabulary word."""
MAX_TEXT = 10_000
"""Characters of a title, reference, tag or topic; our choice, far above normal use."""
MAX_TAGS = 10_000
"""Tags of a job; our choice."""
MAX_LABEL = 256
"""Characters of a speaker or channel label, which is repeated on every word; our choice."""
MAX_IDENTIFIER = 65_536
"""Characters of one speaker identifier; our choice."""
MAX_CODES = 200
"""Language codes in one list; our choice, three times the contract's table."""
MAX_URL = 8_192
"""Characters of a URL; our choice."""
MAX_HEADERS = 50
"""Extra header lines of one request; our choice."""
MAX_HEADER_LINE = 16_384
"""Characters of one header line, enough for the longest bearer tokens; our choice."""
MAX_LINE_LENGTH = 10_000
"""The highest value of `max_line_length`, characters of a subtitle line; our choice."""
MAX_LINES = 1_000
"""The highest value of `max_lines`, lines of a subtitle; our choice."""

_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CHANNEL_LABEL = re.compile(r"[A-Za-z0-9._]+")  # contract §6.2
_GENERIC_LABEL = re.compile(r"UU|S[0-9]+")  # contract §6 "Inferred (config)"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that a label must not contain."""
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t\x20-\x7e\xa0-\xff]*")  # RFC 9110 §5.1, §5.5

# Headers that change the framing or the target of the request instead of authorizing it.
_FRAMING = frozenset({
    "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip

# contract §6.2: removed in July 2024 (the last value exists in Realtime only)
_DIARIZATION_GONE = {
    "speaker_change": "must not be speaker_change, removed in July 2024: use speaker",
    "channel_and_speaker_change": "must not be channel_and_speaker_change, removed in July 2024: use channel",
    "channel_and_speaker": "must not be channel_and_speaker, which is for Realtime only: use channel or speaker",
}

# contract §9.1; `transcript.vtt` is ours, the last three belong to alignment jobs (§10)
CONTENTS = (
    "jobinfo", "transcript", *(f"transcript.{name}" for name in FORMATS), "data", "text",
    "alignment", "alignment.word_start_and_end", "alignment.one_per_line",
)  # fmt: skip

T = TypeVar("T")


def refuse(sentence: str, kind: Literal["refused", "refused_with_value"] = "refused") -> NoReturn:
    """Fail the validation of a member; *sentence* continues its name."""
    raise PydanticCustomError(kind, sentence)


class _Described(AfterValidator):
    """An `AfterValidator` that also states its rule in the JSON Schema of the field."""

    rule: Mapping[str, object]

    def __init__(self, check: Callable[[Any], Any], **rule: object) -> None:
        super().__init__(check)
        object.__setattr__(self, "rule", rule)  # the base class is frozen

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema of the value with the members of the rule, for example `enum`."""
        return {**handler(schema), **self.rule}


def one_of(*values: str) -> AfterValidator:
    """The value is one of *values*."""

    def check(value: str) -> str:
        return value if value in values else refuse(f"must be one of {', '.join(values)}")

    return _Described(check, enum=list(values))


def between(low: float, high: float) -> AfterValidator:
    """The value is in `low … high`."""

    def check(value: float) -> float:
        return value if low <= value <= high else refuse(f"must be between {low:,} and {high:,}")

    return _Described(check, minimum=low, maximum=high)


def _matching(pattern: re.Pattern[str], sentence: str) -> AfterValidator:
    def check(value: str) -> str:
        return value if pattern.fullmatch(value) else refuse(sentence)

    return _Described(check, pattern=f"^{pattern.pattern}$")


def unless(wrong: Callable[[T], bool], sentence: str) -> AfterValidator:
    """The value is not *wrong*; otherwise *sentence* continues the name of the member."""

    def check(value: T) -> T:
        return refuse(sentence) if wrong(value) else value

    return AfterValidator(check)


def integral(value: object) -> object:
    """*value*, as an integer if it is a number without a fraction."""
    # JSON has one type of number: 42.0 is the integer 42 (JSON Schema, "integer")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _blank(value: str) -> bool:
    return not value.strip()


def _diarization(value: str) -> str:
    if value in _DIARIZATION_GONE:
        refuse(_DIARIZATION_GONE[value], "refused_with_value")
    return value


def _marks(value: object) -> object:
    return [value] if value == "all" else value  # Realtime's schema also allows the string


def as_list(value: object) -> object:
    """*value*, in a list if it is one object."""
    return [value] if isinstance(value, dict) else value  # contract §6 "Inferred": older clients send one object


def _url(value: str) -> str:
    # parsers disagree about the host of a URL with a backslash or a blank
    if CONTROL.search(value) or "\\" in value or any(map(str.isspace, value)):
        refuse("must be a URL without blanks, control characters or backslashes")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        refuse("must be a valid URL")
    if parts.scheme not in {"http", "https"} or not host:
        refuse("must be an http or https URL with a host")
    return value


def _header_line(value: str) -> str:
    match = _HEADER.fullmatch(value)
    if match is None:
        refuse("must be one header line of the form Name: value, without line breaks")
    if match[1].lower() in _FRAMING:
        refuse("must not be a header that belongs to the connection itself, such as Host or Content-Length")
    return value


def _speaker_label(value: str) -> str:
    if _GENERIC_LABEL.fullmatch(value):
        refuse("must not look like the service's own labels (S1, S2, UU)")
    if value != value.strip():
        refuse("must not start or end with a space")
    if CONTROL.search(value):
        refuse("must not hold control characters")
    return value


Code = Annotated[str, _matching(_LANGUAGE, "must be a language code such as en or cmn_en")]
"""A well-formed language code; a later stage checks if an engine supports it."""
PlainCode = Annotated[
    Code, unless({"auto", "multi"}.__contains__, "must be the code of one language, neither auto nor multi")
]
"""The code of one language."""
Name = Annotated[str, _matching(_NAME, "must be a name of letters, digits, dots, dashes and underscores")]
Fraction = Annotated[float, between(0, 1)]
Percentage = Annotated[float, between(0, 100)]
Seconds = Annotated[
    float, unless(lambda value: value < 0, "must not be negative"), Field(json_schema_extra={"minimum": 0})
]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Topic = Annotated[str, Field(max_length=MAX_TEXT), unless(_blank, "must not be empty")]
Url = Annotated[str, Field(max_length=MAX_URL), AfterValidator(_url)]
HeaderLine = Annotated[str, Field(max_length=MAX_HEADER_LINE), AfterValidator(_header_line)]
Mark = Annotated[str, unless(lambda mark: len(mark) != 1 and mark != "all", "must be one character, or all")]
ChannelLabel = Annotated[
    str,
    Field(max_length=MAX_LABEL),
    _matching(_CHANNEL_LABEL, "must be made of the letters A to Z, digits, dots and underscores"),
]
SpeakerLabel = Annotated[str, Field(min_length=1, max_length=MAX_LABEL), AfterValidator(_speaker_label)]
Identifier = Annotated[str, Field(min_length=1, max_length=MAX_IDENTIFIER)]
ChannelLabels = Annotated[list[ChannelLabel], Field(max_length=MAX_CHANNELS, fail_fast=True)]
# melia-1 is valid in the contract; `config.py` refuses it, because only the vendor has this model
OperatingPointName = Annotated[
    str, unless(lambda name: name not in {"standard", "enhanced", "melia-1"}, "must be one of standard, enhanced")
]
Codes = Annotated[list[Code], Field(max_length=MAX_CODES, fail_fast=True)]
PlainCodes = Annotated[list[PlainCode], Field(max_length=MAX_CODES, fail_fast=True)]
Targets = Annotated[list[Code], Field(max_length=MAX_TARGETS, fail_fast=True)]
Topics = Annotated[list[Topic], Field(fail_fast=True)]
Tags = Annotated[list[Text], Field(max_length=MAX_TAGS, fail_fast=True)]
HeaderLines = Annotated[list[HeaderLine], Field(max_length=MAX_HEADERS, fail_fast=True)]
Marks = Annotated[list[Mark], Field(fail_fast=True), BeforeValidator(_marks)]
Spellings = Annotated[list[str], Field(max_length=MAX_SOUNDS_LIKE, fail_fast=True)]
Diarization = Annotated[str, AfterValidator(_diarization), one_of("none", "speaker", "channel")]
EventType = Annotated[str, one_of("applause", "laughter", "music")]
Content = Annotated[str, one_of(*CONTENTS)]
EventTypes = Annotated[list[EventType], Field(fail_fast=True)]
Contents = Annotated[list[Content], Field(fail_fast=True)]
LineLength = Annotated[int, BeforeValidator(integral), between(1, MAX_LINE_LENGTH)]
LineCount = Annotated[int, BeforeValidator(integral), between(1, MAX_LINES)]


class Part(BaseModel):
    """The base of the models: unknown members are ignored (contract §6), and a member that is `null` is absent."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data
