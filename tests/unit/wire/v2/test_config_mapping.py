"""A member of a config becomes the field of its name: a new one is declared in the schema and in `request.py`, and nowhere else."""

from dataclasses import dataclass, field
from enum import StrEnum

from sottovoce.wire.config_values import Part
from sottovoce.wire.v2.config_mapping import request_value


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
