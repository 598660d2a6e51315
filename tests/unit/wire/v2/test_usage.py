import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.errors import Kind, Refused
from sottovoce.wire.v2 import usage
from sottovoce.wire.v2.usage import Line, Usage

FEBRUARY = usage.parse_day("2026-02-01")


def line(count: int = 1, duration_ms: int = 60_000, **changes: str) -> Line:
    keys = {"type": "transcription", "language": "en", "operating_point": "standard", **changes}
    return Line(count=count, duration_ms=duration_ms, **keys)


def test_the_contracts_example_byte_for_byte() -> None:
    used = Usage(
        since=FEBRUARY,
        until=FEBRUARY + 2,
        lines=[line(3, 2_700_000, language="fr", operating_point="enhanced")],
    )
    assert json.dumps(usage.usage_object(used), separators=(",", ":")) == (
        '{"since":"2026-02-01T00:00:00Z","until":"2026-02-03T23:59:59Z",'
        '"summary":[{"mode":"batch","type":"transcription","count":3,"duration_hrs":0.75}],'
        '"details":[{"mode":"batch","type":"transcription","language":"fr","model":"enhanced","operating_point":"enhanced",'
        '"count":3,"duration_hrs":0.75}]}'
    )


def test_the_summary_is_by_type_and_the_details_by_language_and_operating_point() -> None:
    lines = [
        line(2, 7_200_000, language="fr"),
        line(1, 1_800_000),
        line(4, 900_000, operating_point="enhanced"),
        line(1, 360_000, type="alignment"),
    ]
    body = usage.usage_object(Usage(since=FEBRUARY, until=FEBRUARY, lines=lines))
    assert [(each["type"], each["count"], each["duration_hrs"]) for each in body["summary"]] == [
        ("alignment", 1, 0.1), ("transcription", 7, 2.75),
    ]  # fmt: skip
    assert [
        (each["type"], each["language"], each["model"], each["operating_point"], each["count"], each["duration_hrs"])
        for each in body["details"]
    ] == [
        ("alignment", "en", "standard", "standard", 1, 0.1), ("transcription", "en", "enhanced", "enhanced", 4, 0.25),
        ("transcription", "en", "standard", "standard", 1, 0.5), ("transcription", "fr", "standard", "standard", 2, 2.0),
    ]  # fmt: skip


def test_what_was_not_used_has_no_entry() -> None:
    body = usage.usage_object(Usage(since=FEBRUARY, until=FEBRUARY - 3, lines=[]))
    assert body == {"since": "2026-02-01T00:00:00Z", "until": "2026-01-29T23:59:59Z", "summary": [], "details": []}


@given(st.integers(0, 10**13))
def test_hours_tell_milliseconds_apart(duration_ms: int) -> None:
    assert round(usage.hours(duration_ms) * usage.HOUR_MS) == duration_ms


@pytest.mark.parametrize(
    ("text", "day"), [("1970-01-01", 0), ("2026-02-28", 20512), ("1969-12-31", -1), ("9999-12-31", 2932896)]
)
def test_days_are_read_and_written(text: str, day: int) -> None:
    assert usage.day({"since": text}, "since") == day
    assert usage.written(day) == text


def test_an_absent_day_is_none() -> None:
    assert usage.day({}, "until") is None


@pytest.mark.parametrize(
    "text",
    ["", " ", "2026-2-1", "20260201", "2026-W05-1", "2026-02-30", "2026-02-01T00:00:00Z", "0000-01-01", "२०२६-02-01", "x" * 999, "2026-02-01\n"],
)  # fmt: skip
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        usage.day({"since": text}, "since")
    assert refused.value.kind is Kind.INVALID_QUERY
    assert refused.value.detail == f'since in query must be of type date: "{text[:64]}"'


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("voice-sdk/0.2.8", "voice-sdk/0.2.8"), ("  Büro 7 ", "Büro 7"), ("x" * 100, "x" * 100), ("x" * 101, None), ("", None),
        ("   ", None), ("a\nb", None), ("a\x00b", None), ("a\u202eb", None), ("\ud800", None), ("=1+1", "=1+1"),
    ],
)  # fmt: skip
def test_the_name_of_an_application_is_short_and_printable_or_ignored(text: str, name: str | None) -> None:
    assert usage.application({"sm-app": text}) == name


def test_without_a_name_there_is_none() -> None:
    assert usage.application({}) is None


def test_realtime_is_a_mode_and_its_type_is_transcription() -> None:
    lines = [line(2, 3_600_000, type="realtime"), line(1, 1_800_000)]
    body = usage.usage_object(Usage(since=FEBRUARY, until=FEBRUARY, lines=lines))
    assert body["summary"] == [
        {"type": "transcription", "mode": "realtime", "count": 2, "duration_hrs": 1.0},
        {"mode": "batch", "type": "transcription", "count": 1, "duration_hrs": 0.5},
    ]
    assert {(each["mode"], each["type"], each["count"]) for each in body["details"]} == {
        ("realtime", "transcription", 2),
        ("batch", "transcription", 1),
    }
