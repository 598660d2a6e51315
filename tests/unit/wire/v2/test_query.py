import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.errors import Kind, Refused
from sottovoce.wire.v2 import query as v2_query
from sottovoce.wire.v2.errors import v2_error

INT64 = 1 << 63


def refusal(error: pytest.ExceptionInfo[Refused]) -> str:
    """The `error` word that the caller reads: the text itself (contract §3.3)."""
    assert error.value.kind is Kind.INVALID_QUERY
    status, body = v2_error(error.value)
    assert (status, body["code"]) == (422, 422)
    assert set(body) == {"code", "error"}
    return str(body["error"])


def test_absent_is_none() -> None:
    assert v2_query.integer({}, "n") is None
    assert v2_query.instant({}, "n") is None
    assert v2_query.limit({"sm-sdk": "js-5.1.0"}) is None
    assert v2_query.boolean({}, "n") is False
    assert v2_query.boolean({}, "n", default=True) is True


@given(st.integers(-INT64, INT64 - 1))
def test_whole_numbers_of_64_bits(value: int) -> None:
    assert v2_query.integer({"n": str(value)}, "n") == value


@pytest.mark.parametrize(("text", "value"), [("+7", 7), ("-0", 0), ("007", 7)])
def test_whole_numbers_written_otherwise(text: str, value: int) -> None:
    assert v2_query.integer({"n": text}, "n") == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "1.0",
        "1e3",
        "0x10",
        "1_000",
        "-+5",
        "+-5",
        "--5",
        "-",
        "+",
        "٣",
        "²",
        "1 ",
        " 1",
        "9" * 5000,
        str(INT64),
        str(-INT64 - 1),
    ],
)
def test_no_whole_number(text: str) -> None:
    with pytest.raises(Refused) as error:
        v2_query.integer({"wait": text}, "wait")
    assert refusal(error) == "wait in query must be of type int64"


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    try:
        value = v2_query.integer({"n": text}, "n")
    except Refused:
        return
    assert value is not None
    assert -INT64 <= value < INT64


@pytest.mark.parametrize("text", ["true", "TRUE", "True", "1", "t", "yes", "on"])
def test_true(text: str) -> None:
    assert v2_query.boolean({"force": text}, "force") is True


@pytest.mark.parametrize("text", ["false", "False", "0", "F", "no", "off"])
def test_false(text: str) -> None:
    assert v2_query.boolean({"force": text}, "force", default=True) is False


@pytest.mark.parametrize("text", ["", "2", "truee", " true", "null", "none"])
def test_no_truth_value(text: str) -> None:
    with pytest.raises(Refused) as error:
        v2_query.boolean({"force": text}, "force")
    assert refusal(error) == "force in query must be of type bool"


def test_an_instant() -> None:
    assert v2_query.instant({"created_before": "1970-01-01T00:00:01.5Z"}, "created_before") == 1500


def test_a_zones_plus_that_arrives_as_a_blank() -> None:
    assert v2_query.instant({"created_before": "1970-01-01T02:00:00 02:00"}, "created_before") == 0
    assert v2_query.instant({"created_before": "1970-01-01 00:00:01Z"}, "created_before") == 1000


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30T00:00:00Z", "1970-01-01T00:00:00 + 02:00"])
def test_no_instant(text: str) -> None:
    with pytest.raises(Refused) as error:
        v2_query.instant({"created_before": text}, "created_before")
    assert refusal(error) == f'created_before in query must be of type date-time: "{text}"'


def test_only_the_beginning_of_a_long_text_comes_back() -> None:
    with pytest.raises(Refused) as error:
        v2_query.instant({"created_before": "x" * 100_000}, "created_before")
    assert len(refusal(error)) < 150


@given(st.text(max_size=40))
def test_any_text_is_an_instant_or_refused(text: str) -> None:
    with contextlib.suppress(Refused):
        assert isinstance(v2_query.instant({"n": text}, "n"), int)


@pytest.mark.parametrize("value", [1, 2, 99, 100])
def test_limits(value: int) -> None:
    assert v2_query.limit({"limit": str(value)}) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0", "limit in query should be greater than or equal to 1"),
        ("-9223372036854775808", "limit in query should be greater than or equal to 1"),
        ("101", "limit in query should be less than or equal to 100"),
        ("ten", "limit in query must be of type int64"),
    ],
)
def test_no_limit(text: str, told: str) -> None:
    with pytest.raises(Refused) as error:
        v2_query.limit({"limit": text})
    assert refusal(error) == told


@pytest.mark.parametrize(
    ("given_", "seconds"), [(None, 2.0), ("0", 0.0), ("-5", 0.0), ("30", 30.0), ("601", 600.0), (str(INT64 - 1), 600.0)]
)
def test_waits_are_clamped_silently(given_: str | None, seconds: float) -> None:
    query = {} if given_ is None else {"wait": given_}
    assert v2_query.wait(query, default=2.0, cap=600.0) == seconds


def test_a_wait_of_no_number_is_refused() -> None:
    with pytest.raises(Refused) as error:
        v2_query.wait({"wait": "1.5"}, default=2.0, cap=600.0)
    assert refusal(error) == "wait in query must be of type int64"
