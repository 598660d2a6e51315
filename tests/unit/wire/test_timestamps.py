import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.wire import timestamps

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
whole = st.integers(0, LAST)


def test_milliseconds_as_observed() -> None:
    assert timestamps.milliseconds(1_780_257_581_742) == "2026-05-31T19:59:41.742Z"
    assert timestamps.milliseconds(0) == "1970-01-01T00:00:00.000Z"


def test_microseconds_as_documented() -> None:
    assert timestamps.microseconds(1_780_257_581_742) == "2026-05-31T19:59:41.742000Z"


@given(whole)
def test_what_is_written_is_read_back(at: int) -> None:
    assert timestamps.parse(timestamps.milliseconds(at)) == at
    assert timestamps.parse(timestamps.microseconds(at)) == at


@given(whole, whole)
def test_texts_sort_as_instants_do(one: int, other: int) -> None:
    assert (timestamps.milliseconds(one) < timestamps.milliseconds(other)) == (one < other)


@given(whole, st.integers(0, 10**9 - 1))
def test_finer_digits_are_cut_never_rounded(at: int, nanoseconds: int) -> None:
    stem = timestamps.milliseconds(at - at % 1000).removesuffix(".000Z")
    assert timestamps.parse(f"{stem}.{nanoseconds:09d}Z") == at - at % 1000 + nanoseconds // 1_000_000


@given(whole, st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_a_zone_moves_the_clock_not_the_instant(at: int, minutes: int) -> None:
    hour, minute = divmod(abs(minutes), 60)
    shown = EPOCH + timedelta(milliseconds=at, minutes=minutes) if 0 <= at + minutes * 60_000 <= LAST else None
    if shown is not None:
        text = shown.replace(tzinfo=None).isoformat(timespec="milliseconds")
        assert timestamps.parse(f"{text}{'-' if minutes < 0 else '+'}{hour:02d}:{minute:02d}") == at


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01 00:00:01Z", 1000),
        ("1970-01-01T00:00:00.5Z", 500),
        ("1970-01-01T00:00:00.0009Z", 0),
        ("1970-01-01T00:00:00.123456789999Z", 123),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T00:00:00-00:30", 1_800_000),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000),
        ("9999-12-31T23:59:59.999Z", LAST),
    ],
)
def test_read(text: str, at: int) -> None:
    assert timestamps.parse(text) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00+0200",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+10:99",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:61Z",
        "0000-01-01T00:00:00Z",
        "12026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
        " 2026-01-01T00:00:00Z",
        "٢٠٢٦-01-01T00:00:00Z",
        "2026-01-01T00:00:00.٥Z",
        "1780257581742",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError):
        timestamps.parse(text)


@given(st.text(max_size=40))
def test_nothing_but_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(timestamps.parse(text), int)


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])))
def test_reads_what_python_writes(moment: datetime) -> None:
    assert timestamps.parse(moment.isoformat()) == (moment - EPOCH) // timedelta(milliseconds=1)
