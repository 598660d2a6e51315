"""How sure a model is becomes how often it is right, by a file that may say anything."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.engines.common.calibration import FILE, IDENTITY, MAX_BYTES, Calibration, dump, load, parse


def test_it_is_linear_between_its_points_and_level_outside_them():
    measured = Calibration(((0.1, 0.2), (0.5, 0.4), (0.9, 0.8)))
    assert [measured(x) for x in (0.0, 0.1, 0.9, 1.0)] == [0.2, 0.2, 0.8, 0.8]
    assert measured(0.3) == pytest.approx(0.3)
    assert measured(0.7) == pytest.approx(0.6)


def test_a_model_without_a_file_is_taken_at_its_word(tmp_path):
    assert load(tmp_path) is IDENTITY
    assert [IDENTITY(x) for x in (-1.0, 0.0, 0.37, 1.0, 2.0)] == [0.0, 0.0, pytest.approx(0.37), 1.0, 1.0]
    assert IDENTITY(math.nan) == 0.0


def test_one_point_is_a_constant():
    assert {Calibration(((0.5, 0.3),))(x) for x in (0.0, 0.5, 1.0)} == {0.3}


def test_what_is_written_is_read_back(tmp_path):
    measured = Calibration(((0.0, 0.25), (1.0, 0.94)))
    (tmp_path / FILE).write_text(dump(measured))
    assert load(tmp_path) == measured


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "{}",
        "[]",
        "[1, 2]",
        '["ab"]',
        "[[0, 0], [1]]",
        "[[0, 0, 0]]",
        '[["0", "1"]]',
        "[[true, false]]",
        "[[null, 1]]",
        "[[0, 0], [0, 1]]",
        "[[0.5, 0], [0.4, 1]]",
        "[[0, 0.5], [1, 0.4]]",
        "[[-0.1, 0]]",
        "[[0, 1.1]]",
        "[[NaN, 0]]",
        "[[0, Infinity]]",
        f"[[{10**400}, 0]]",
        "[" * 100_000,
        json.dumps([[n / 2_000, 0] for n in range(1_001)]),
    ],
)
def test_anything_else_is_an_error(text, tmp_path):
    with pytest.raises(ValueError):
        parse(text)
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError):
        load(tmp_path)


def test_a_file_that_is_no_text_or_too_large_is_an_error(tmp_path):
    (tmp_path / FILE).write_bytes(b"\xff\xfe[[0, 0]]")
    with pytest.raises(ValueError, match="not UTF-8 text"):
        load(tmp_path)
    (tmp_path / FILE).write_text("[[0, 0]]" + " " * MAX_BYTES)
    with pytest.raises(ValueError, match="too large"):
        load(tmp_path)


@given(st.dictionaries(st.floats(0, 1), st.floats(0, 1), min_size=1, max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_the_surer_word_never_gets_less_confidence(points, one, other):
    measured = Calibration(tuple(zip(sorted(points), sorted(points.values()), strict=True)))
    low, high = measured(min(one, other)), measured(max(one, other))
    assert 0.0 <= low <= high + 1e-12 <= 1.0 + 1e-9
