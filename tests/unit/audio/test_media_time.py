"""Frames with right and wrong time stamps: silence where audio is missing, and nowhere else."""

import random

import pytest

from sottovoce.audio.media_time import AHEAD, JUMP, MOST, Frame, Silence, Timing, placed
from sottovoce.transcript.model import RATE

LENGTH = 320  # 20 ms at 16 kHz


def frames(stamps, rate: int = RATE, length: int = LENGTH) -> list[Frame[int]]:
    return [Frame(stamp=stamp, rate=rate, length=length, audio=n) for n, stamp in enumerate(stamps)]


def times(given, timing: Timing | None = None, end: int | None = None) -> list[int]:
    """Where each frame begins, by its number."""
    found: dict[int, int] = {}
    at = 0
    for piece in placed(given, timing or Timing(), end=end):
        if isinstance(piece, Silence):
            assert piece.until > at
            at = piece.until
        else:
            found[piece.audio] = at
            at += piece.length * RATE // piece.rate
    return [found[number] for number in range(len(given))]


def regular(count: int, start: int = 0) -> list[int]:
    return [start + LENGTH * number for number in range(count)]


def test_right_stamps_and_missing_ones_change_nothing():
    assert times(frames(regular(100))) == regular(100)
    assert times(frames([None] * 100)) == regular(100)
    assert times([]) == []


@pytest.mark.parametrize("late", [16, 5_000, 60 * RATE])
def test_a_late_start_is_kept_to_the_sample(late):
    timing = Timing()
    assert times(frames(regular(20, late)), timing) == regular(20, late)
    assert (timing.late, timing.gaps) == (late, 0)


def test_gaps_are_filled_and_rounded_stamps_are_not_gaps():
    stamps = [*regular(50), *regular(50, 50 * LENGTH + RATE)]
    timing = Timing()
    assert times(frames(stamps), timing) == stamps
    assert (timing.gaps, timing.filled) == (1, RATE)
    chance = random.Random(1)
    rough = [stamp + chance.randint(-JUMP // 2, JUMP // 2) for stamp in regular(500, 800)]
    assert max(abs(a - b) for a, b in zip(times(frames(rough)), regular(500, 800), strict=True)) <= JUMP


def test_small_gaps_add_up():
    """Every tenth frame of 20 ms is lost: the times stay within 0.1 s."""
    stamps = [stamp for n, stamp in enumerate(regular(1_000)) if n % 10]
    assert max(abs(a - b) for a, b in zip(times(frames(stamps)), stamps, strict=True)) <= JUMP


@pytest.mark.parametrize("wrong", [36_000 * RATE, 5 * RATE, -5 * RATE])
@pytest.mark.parametrize("where", [0, 1, 50, 98])
def test_one_wrong_stamp_is_ignored(wrong, where):
    stamps = regular(100)
    stamps[where] += wrong
    assert times(frames(stamps)) == regular(100)


def test_stamps_that_go_back_begin_a_new_count():
    stamps = [*regular(100), *regular(50), *regular(50, 50 * LENGTH + 3 * RATE)]
    found = times(frames(stamps))
    assert found[:150] == regular(150)
    assert found[150:] == regular(50, 150 * LENGTH + 3 * RATE)


def test_an_overlap_is_made_up_for_by_the_next_gap():
    back = RATE * 4 // 10
    stamps = [*regular(50), *regular(50, 50 * LENGTH - back), *regular(50, 100 * LENGTH + RATE)]
    found = times(frames(stamps))
    assert found[:100] == regular(100)
    assert found[100:] == stamps[100:]


@pytest.mark.parametrize(
    "stamps",
    [
        [0] * 500,
        list(reversed(regular(500))),
        [stamp + (3_600 * RATE if n % 2 else 0) for n, stamp in enumerate(regular(500))],
        [-(10**12)] * 500,
        [*regular(250), *regular(250, 10**12)],
        [stamp * 10**6 for stamp in regular(500)],
    ],
    ids=["equal", "falling", "to and fro", "negative", "a huge jump", "far too fast"],
)
def test_stamps_without_sense_leave_the_count(stamps):
    timing = Timing()
    assert times(frames(stamps), timing) == regular(500)
    assert timing.late == timing.gaps == 0


@pytest.mark.parametrize("seed", range(10))
def test_any_stamps_make_half_an_hour_of_silence_at_most(seed):
    chance = random.Random(seed)
    timing = Timing()
    stamps = [chance.choice([None, chance.randint(-(10**9), 10**9), n * LENGTH]) for n in range(2_000)]
    found = times(frames(stamps), timing)
    assert found == sorted(found)
    assert found[-1] <= 2_000 * LENGTH + MOST
    assert timing.late + timing.filled <= MOST


def test_a_long_gap_lies_inside_the_declared_media():
    stamps = [*regular(50), *regular(50, 120 * RATE)]
    assert times(frames(stamps), end=125 * RATE) == stamps
    assert times(frames(stamps), end=60 * RATE) == regular(100)
    assert times(frames(stamps)) == stamps
    assert times(frames(stamps[:51])) == regular(51)  # nothing confirms the last stamp


def test_other_rates_are_counted_exactly():
    given = frames([round(n * 1_024 * RATE / 44_100) for n in range(5_000)], 44_100, 1_024)
    timing = Timing()
    assert [piece for piece in placed(given, timing) if isinstance(piece, Silence)] == []
    mixed = [*frames(regular(30)), *frames(regular(AHEAD * 9, 30 * LENGTH), 8_000, LENGTH // 2)]
    assert [piece for piece in placed(mixed, timing) if isinstance(piece, Silence)] == []
