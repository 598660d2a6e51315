"""Stretches of speech as windows: real audio on both sides, every sample answered for once."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.audio.activity import Span, Speech
from sottovoce.engines.whisper.decoder import PAD
from sottovoce.engines.whisper.windows import ACTIVITY, CONTEXT, LONGEST, SHARED, windows
from sottovoce.transcript.model import RATE
from tests.examples import examples
from tests.unit.engines.whisper.whisper_values import at, numbered, run


def stretch(start, end, *runs):
    """A stretch from *start* to *end* with *runs* of speech, in seconds; samples are their places."""
    return numbered(at(start), at(end), *((at(first), at(last)) for first, last in runs))


def heard(window):
    """From where to where the window has audio, in seconds."""
    return window.start / RATE, (window.start + window.length) / RATE


def test_a_stretch_is_one_window_and_knows_its_speech():
    (window,) = windows([stretch(2, 9, (2.4, 5), (6, 8.6))])
    assert heard(window) == (2, 9)
    assert window.own == window.stretch == run(2, 9)
    assert window.voiced == (run(0.4, 3), run(4, 6.6))
    assert (window.ends, window.joins) == (True, False)


def test_speech_that_is_not_known_is_everywhere():
    (window,) = windows([stretch(2, 9)])
    assert window.voiced == (run(0, 7),)


def test_windows_with_a_gap_between_them_share_nothing():
    first, second = windows([stretch(0, 4, (0.4, 3.6)), stretch(6, 9, (6.4, 8.6))])
    assert (heard(first), heard(second)) == ((0, 4), (6, 9))
    assert not second.joins


def test_neighbours_of_a_cut_in_speech_share_a_second():
    first, second, third = windows([stretch(0, 20, (0, 20)), stretch(20, 40, (20, 40)), stretch(40, 50, (40, 49.6))])
    assert [heard(each) for each in (first, second, third)] == [(0, 21), (19, 41), (39, 50)]
    assert SHARED == RATE
    assert second.own == run(20, 40)
    assert [each.voiced for each in (first, second, third)] == [(run(0, 21),), (run(0, 22),), (run(0, 10.6),)]
    assert [each.joins for each in (first, second, third)] == [False, True, True]


def test_neighbours_of_a_cut_in_a_pause_share_the_pause_alone():
    long = [stretch(0, 20, (0, 19)), stretch(20, 30, (21, 30))]
    first, second = windows(long)
    assert (heard(first), heard(second)) == ((0, 20.4), (19.6, 30))
    assert (first.voiced, second.voiced) == ((run(0, 19),), (run(1.4, 10.4),))
    short = [stretch(0, 20, (0, 19.9)), stretch(20, 30, (20.1, 30))]
    first, second = windows(short)
    assert (heard(first), heard(second)) == ((0, 20.1), (19.9, 30))
    assert second.joins


def test_a_pause_on_one_side_of_a_cut_is_shared_by_the_other():
    first, second = windows([stretch(0, 20, (0, 19.8)), stretch(20, 30, (20, 30))])
    assert (heard(first), heard(second)) == ((0, 20), (19.8, 30))


def test_a_short_neighbour_shares_what_it_has():
    first, second, third = windows([stretch(0, 5, (0, 5)), stretch(5, 5.3, (5, 5.3)), stretch(5.3, 9, (5.3, 9))])
    assert [heard(each) for each in (first, second, third)] == [(0, 5.3), (4, 6.3), (5, 9)]


def test_a_stretch_that_is_too_long_is_cut_into_equal_windows():
    found = list(windows([stretch(5, 65, (5, 65))]))
    assert [heard(each) for each in found] == [(5, 26), (24, 46), (44, 65)]
    assert [each.own for each in found] == [run(5, 25), run(25, 45), run(45, 65)]
    assert {each.stretch.start for each in found} == {5 * RATE}
    assert [each.ends for each in found] == [False, False, True]
    assert [each.joins for each in found] == [False, True, True]


def test_a_part_of_a_long_stretch_may_have_no_speech():
    found = list(windows([stretch(0, 60, (1, 15), (45, 59))]))
    assert [each.voiced for each in found] == [(run(1, 15),), (), (run(5.4, 19.4),)]


def test_a_window_fits_into_what_the_model_hears():
    assert LONGEST + 2 * SHARED + PAD <= 30 * RATE
    assert ACTIVITY.max_speech <= LONGEST
    assert ACTIVITY.pad == CONTEXT


def test_no_audio_is_no_fault():
    assert list(windows([])) == []
    (window,) = windows([stretch(3, 3)])
    assert (window.length, window.own, window.voiced) == (0, run(3, 3), ())


def test_windows_are_made_one_stretch_ahead():
    read: list[int] = []

    def endless():
        while True:
            read.append(len(read))
            yield stretch(10 * len(read), 10 * len(read) + 5)

    found = windows(endless())
    assert read == []
    next(found)
    assert len(read) == 2
    next(found)
    assert len(read) == 3


PIECES = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 3_000, 40_000]),  # samples between it and the one before
        st.lists(st.integers(1, 320_000), min_size=1, max_size=6),  # pause, speech, pause, …
        st.booleans(),
    ),
    max_size=8,
)


def made(pieces):
    """Stretches of runs and pauses in turn, and the runs; of some stretches the runs are not told."""
    found: list[Speech] = []
    place = 0
    for gap, lengths, told in pieces:
        start = place = place + gap
        runs = []
        for number, length in enumerate(lengths):
            if number % 2:
                runs.append((place, place + length))
            place += length
        found.append(numbered(start, place, *(runs if told else ())))
    return found


def covered(spans):
    """The samples of *spans* as one set of borders: spans that touch are one."""
    borders: list[int] = []
    for span in spans:
        if borders and borders[-1] == span.start:
            borders[-1] = span.end
        elif span.end > span.start:
            borders += [span.start, span.end]
    return borders


@settings(max_examples=examples(150))
@given(PIECES)
def test_every_sample_belongs_to_exactly_one_window(pieces):
    stretches = made(pieces)
    found = list(windows(stretches))
    assert covered(each.own for each in found) == covered(Span(start=s.start, end=s.end) for s in stretches)
    assert all(one.own.end <= other.own.start for one, other in pairwise(found))
    last = [each.stretch for each in found if each.ends]
    assert [(each.start, each.end) for each in last] == [(each.start, each.end) for each in stretches]
    for window in found:
        assert window.length <= LONGEST + 2 * SHARED
        assert np.array_equal(window.audio, np.arange(window.start, window.start + window.length))
        assert window.start <= window.own.start
        assert window.own.end <= window.start + window.length
        assert window.stretch.start <= window.own.start
        assert window.own.end <= window.stretch.end


@settings(max_examples=examples(150))
@given(PIECES)
def test_the_runs_of_speech_of_a_window_are_those_of_its_audio(pieces):
    stretches = made(pieces)
    speech = np.zeros(max((each.end for each in stretches), default=0) + 1, bool)
    for each in stretches:
        for span in each.voiced or (Span(start=each.start, end=each.end),):
            speech[span.start : span.end] = True
    for window in windows(stretches):
        told = np.zeros(window.length, bool)
        for span in window.voiced:
            assert 0 <= span.start < span.end <= window.length
            assert not told[span.start : span.end].any()
            told[span.start : span.end] = True
        assert np.array_equal(told, speech[window.start : window.start + window.length])
        assert all(one.end < other.start for one, other in pairwise(window.voiced))


@pytest.mark.parametrize("cut", [7.0, 7.3, 8.0, 13.9, 20.0])
def test_what_two_windows_share_does_not_depend_on_where_the_stretch_ends(cut):
    first, second = windows([stretch(0, cut, (0, cut)), stretch(cut, 26, (cut, 26))])
    overlap = first.start + first.length - second.start
    assert overlap == 2 * SHARED
