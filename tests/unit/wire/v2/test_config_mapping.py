"""A member of a config becomes the field of its name: a new one is declared in the schema and in `request.py`, and nowhere else."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson
import pytest

from sottovoce.errors import Refused
from sottovoce.wire.config_options import options
from sottovoce.wire.config_values import Part
from sottovoce.wire.v2.config import parse_job_config
from sottovoce.wire.v2.config_mapping import request_value
from sottovoce.wire.v2.config_schema import JobConfig

OPTIONS = dict(options(JobConfig))
ELSEWHERE = ("type", "transcription_config", "transcription_config.language", "tracking.details")
"""Members that every transcription has, or that only the stored text of the config keeps."""
LANGUAGES = {"transcription_config.output_locale": "cmn", "language_identification_config": "auto"}
"""The languages for which members have an effect, where it is not English."""
BESIDE: dict[str, dict[str, Any]] = {
    "language_identification_config.low_confidence_action": {"default_language": "en"},
    "translation_config.target_languages[]": {"target_languages": []},
}
"""Members that others need beside them."""


class Pace(StrEnum):
    SLOW = "slow"
    FAST = "fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    name: str
    pitches: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Singing:
    key: str
    loud: bool = True
    pace: Pace = Pace.SLOW
    lead: Voice | None = None
    choir: tuple[Voice, ...] | None = None
    room: Voice = field(default_factory=lambda: Voice(name="hall"))
    other: int = 1


class VoiceConfig(Part):
    name: str
    pitches: list[int] | None = None


class SingingConfig(Part):
    key: str
    loud: bool | None = None
    pace: str | None = None
    lead: VoiceConfig | None = None
    choir_config: list[VoiceConfig] | None = None


class Beside(Part):
    room_overrides: VoiceConfig | None = None
    other: int | None = None


def test_members_become_the_fields_of_their_names() -> None:
    asked = SingingConfig.model_validate({
        "key": "C", "loud": False, "pace": "fast", "lead": {"name": "Ann", "pitches": [4, 4]},
        "choir_config": [{"name": "Bob"}, {"name": "Cid", "pitches": []}],
    })  # fmt: skip
    beside = Beside.model_validate({"room_overrides": {"name": "bath"}, "other": 2})
    assert request_value(Singing, asked, beside) == Singing(
        key="C",
        loud=False,
        pace=Pace.FAST,
        lead=Voice(name="Ann", pitches=(4, 4)),
        choir=(Voice(name="Bob"), Voice(name="Cid")),
        room=Voice(name="bath"),
        other=2,
    )


def test_what_is_not_given_is_the_default_of_the_field() -> None:
    assert request_value(Singing, SingingConfig(key="C"), None, Beside()) == Singing(key="C")


def test_a_named_value_wins_also_when_it_is_none() -> None:
    asked = SingingConfig(key="C", lead=VoiceConfig(name="Ann"))
    assert request_value(Singing, asked, key="D", lead=None) == Singing(key="D")


def effective() -> Iterator[str]:
    """The options of a transcription by their path, without those that have no effect, and without members of lists."""
    for path, option in OPTIONS.items():
        alone = "[]" not in path.removesuffix("[]") and not path.startswith(("alignment_config", "fetch_text"))
        if alone and path not in ELSEWHERE and "no effect" not in option.meaning:
            yield path


def config(path: str, *, given: bool) -> bytes:
    """The config of a transcription with the example of the object around the member at *path*, and, if *given*, of the member."""
    root = path.split(".", maxsplit=1)[0]
    language = LANGUAGES.get(path) or LANGUAGES.get(root) or "en"
    made: dict[str, Any] = {"type": "transcription", "transcription_config": {"language": language}}
    here, walked = made, ""
    *around, name = path.removesuffix("[]").split(".")
    for part in around:
        walked = f"{walked}.{part}".removeprefix(".")
        here = here.setdefault(part, {} if walked == "transcription_config" else copy.deepcopy(OPTIONS[walked].example))
    here.pop(name, None)
    here |= BESIDE.get(path, {})
    if given:
        here[name] = OPTIONS[path].example
    return orjson.dumps(made)


def asked(path: str, *, given: bool) -> object:
    """The request, or the detail of its refusal."""
    try:
        return parse_job_config(config(path, given=given))
    except Refused as refused:
        return refused.detail


@pytest.mark.parametrize("path", list(effective()))
def test_an_option_with_an_effect_reaches_the_request(path: str) -> None:
    request = asked(path, given=True)
    assert not isinstance(request, str)
    assert request != asked(path, given=False)
