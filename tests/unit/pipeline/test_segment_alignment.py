"""What is aligned together, what is tried, what is bridged: with a reading that hears and places by a script."""

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.engines.protocols import AlignmentSession, HeardWord, PlacedWord, Speech
from sottovoce.pipeline.media_reader import SeekableAudio
from sottovoce.pipeline.segment_alignment import FITS, SEGMENT, Anchor, Segment, SegmentAligner, interpolate
from sottovoce.transcript.model import RATE, Samples, samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Somebody says *text* there; what is not *clear* is not heard, but found by who knows where to look."""

    text: str
    start: Samples
    end: Samples
    clear: bool = True


def talk(text: str, start: float, *, each: float = 0.3, gap: float = 0.1, clear: bool = True) -> list[Said]:
    """The words of *text* one after the other from second *start* on; `|` is a pause of a second."""
    found = []
    for word in text.split():
        if word == "|":
            start += 1
            continue
        found.append(Said(text=bare(word), start=samples(start), end=samples(start + each), clear=clear))
        start += each + gap
    return found


def bare(word: str) -> str:
    return "".join(sign for sign in word.lower() if sign.isalnum())


def record(path: Path, said: Sequence[Said], seconds: float) -> Path:
    """A recording that is loud where somebody speaks."""
    sound = np.zeros(samples(seconds), "<i2")
    for word in said:
        sound[word.start : word.end] = 8_000
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(sound.tobytes())
    return path


class Script:
    """A `Reading` of *words* that knows what is *said*. It places what is not said too, squeezed in, as aligners do.

    It holds whoever asks it to what the protocol promises. Where it *places* nothing, it is an aligner that fails.
    """

    def __init__(self, words: Sequence[str], said: Sequence[Said], *, places: bool = True) -> None:
        self._spoken = [(bare(word),) if bare(word) else () for word in words]
        self._said = sorted(said, key=lambda each: each.start)
        self._places = places
        self.asked: list[tuple[Samples, Samples, tuple[int, ...]]] = []

    @property
    def spoken(self) -> Sequence[tuple[str, ...]]:
        return self._spoken

    def recognize(self, stretch: Speech) -> tuple[HeardWord, ...]:
        assert 0 < len(stretch.audio) <= 30 * RATE
        return tuple(
            HeardWord(text=each.text, start=max(each.start, stretch.start), end=min(each.end, stretch.end))
            for each in self._inside(stretch)
            if each.clear
        )

    def align(self, stretch: Speech, words: Sequence[int]) -> tuple[PlacedWord | None, ...]:
        assert len(stretch.audio) <= 90 * RATE
        assert all(one < two for one, two in pairwise(words))
        self.asked.append((stretch.start, stretch.end, tuple(words)))
        if not self._places or not len(stretch.audio):
            return (None,) * len(words)
        here = self._inside(stretch)
        found: list[PlacedWord | None] = []
        at = stretch.start
        for number in words:
            if not self._spoken[number]:
                found.append(None)
                continue
            said = next((each for each in here if (each.text,) == self._spoken[number] and each.start >= at), None)
            if said is None:
                found.append(PlacedWord(start=at, end=at, score=0.0))
                continue
            at = min(said.end, stretch.end)
            found.append(PlacedWord(start=max(said.start, stretch.start), end=at, score=0.9))
        return tuple(found)

    def _inside(self, stretch: Speech) -> list[Said]:
        return [each for each in self._said if stretch.start <= (each.start + each.end) // 2 < stretch.end]


def known(*found: tuple[int, float, float], after: Sequence[int] = ()) -> list[Anchor]:
    """Words by number, start and end in seconds; behind other speech those whose numbers are in *after*."""
    return [
        Anchor(number=number, start=samples(start), end=samples(end), after=int(number in after))
        for number, start, end in found
    ]


@pytest.fixture
def placer(tmp_path):
    """A placer over what *said* says, and its reading."""

    def make(
        words: str, said: Sequence[Said], seconds: float = 30, *, places: bool = True
    ) -> tuple[SegmentAligner, Script]:
        reading = Script(words.split(), said, places=places)
        path = record(tmp_path / "said.wav", said, seconds)
        return SegmentAligner(
            reading, SeekableAudio(path), samples(seconds), lambda _: None, letters=letters(reading)
        ), reading

    return make


def anchored(words: str, said: Sequence[Said]) -> list[Anchor]:
    """Those of *words* that are heard clearly; each is said at most once."""
    places = {each.text: each for each in said if each.clear}
    numbers = [number for number, word in enumerate(words.split()) if bare(word) in places]
    found = [places[bare(words.split()[number])] for number in numbers]
    return [Anchor(number=n, start=each.start, end=each.end) for n, each in zip(numbers, found, strict=True)]


# ── bridges ──


@st.composite
def placed_words(draw: st.DrawFn) -> tuple[dict[int, PlacedWord], list[int], Samples]:
    """Words with weights, some of them placed by an aligner that may overlap and overshoot."""
    weights = draw(st.lists(st.sampled_from([0, 1, 3, 12]), max_size=12))
    placed = {}
    at = 0
    for number in range(len(weights)):
        if draw(st.booleans()):
            start = max(0, at + draw(st.integers(-RATE, 3 * RATE)))
            at = start + draw(st.integers(0, RATE))
            placed[number] = PlacedWord(start=start, end=at, score=0.5)
    return placed, weights, draw(st.integers(0, at + 3 * RATE))


@given(placed_words())
def test_every_word_has_times_that_never_fall_and_end_with_the_media(case) -> None:
    placed, weights, duration = case
    times = interpolate(placed, weights, duration)
    assert len(times) == len(weights)
    flat = [time for start, end, _ in times for time in (start, end)]
    assert flat == sorted(flat)
    assert all(0 <= time <= duration for time in flat)
    for number, (start, end, guess) in enumerate(times):
        assert guess is (number not in placed and weights[number] > 0)
        if number not in placed and not weights[number]:
            assert start == end


@given(placed_words())
def test_words_that_were_placed_apart_stay_where_they_were_placed(case) -> None:
    placed, weights, _ = case
    ordered = {number: word for number, word in placed.items() if weights[number]}
    spans = [(word.start, word.end) for _, word in sorted(placed.items())]
    if all(one[1] <= two[0] for one, two in pairwise(spans)):
        times = interpolate(placed, weights, 10**9)
        assert all(times[number] == (word.start, word.end, False) for number, word in ordered.items())


@given(placed_words(), st.data())
def test_guesses_change_nothing_about_the_order(case, data: st.DataObject) -> None:
    placed, weights, duration = case
    missing = [number for number, weight in enumerate(weights) if weight and number not in placed]
    guesses = {}
    for number in data.draw(st.sets(st.sampled_from(missing)) if missing else st.just(set())):
        start = data.draw(st.integers(0, duration + RATE))
        guesses[number] = PlacedWord(start=start, end=start + data.draw(st.integers(0, RATE)), score=0.1)
    times = interpolate(placed, weights, duration, guesses)
    assert [guess for *_, guess in times] == [guess for *_, guess in interpolate(placed, weights, duration)]
    flat = [time for start, end, _ in times for time in (start, end)]
    assert flat == sorted(flat)
    assert all(0 <= time <= duration for time in flat)


def test_guesses_hold_where_all_words_between_have_one_that_lies_there() -> None:
    placed = {0: PlacedWord(start=0, end=RATE, score=1), 3: PlacedWord(start=9 * RATE, end=10 * RATE, score=1)}
    here, there = PlacedWord(start=2 * RATE, end=3 * RATE, score=0), PlacedWord(start=5 * RATE, end=6 * RATE, score=0)
    astray = PlacedWord(start=8 * RATE, end=10 * RATE, score=0)
    weights, even = [1, 1, 1, 1], interpolate(placed, [1, 1, 1, 1], 10 * RATE)
    held = interpolate(placed, weights, 10 * RATE, {1: here, 2: there})
    assert held[1:3] == [(2 * RATE, 3 * RATE, True), (5 * RATE, 6 * RATE, True)]
    for guesses in ({1: here}, {1: there, 2: here}, {1: here, 2: astray}):
        assert interpolate(placed, weights, 10 * RATE, guesses) == even


def test_words_share_the_time_between_their_neighbours_by_their_length() -> None:
    placed = {0: PlacedWord(start=0, end=1_000, score=1), 4: PlacedWord(start=9_000, end=9_500, score=1)}
    assert interpolate(placed, [2, 1, 0, 3, 2], 20_000) == [
        (0, 1_000, False), (1_000, 3_000, True), (3_000, 3_000, False), (3_000, 9_000, True), (9_000, 9_500, False),
    ]  # fmt: skip


def test_words_at_either_end_take_no_more_time_than_they_need() -> None:
    placed = {2: PlacedWord(start=60 * RATE, end=61 * RATE, score=1)}
    first, second, _, fourth, dash = interpolate(placed, [4, 4, 4, 4, 0], 120 * RATE)
    assert 57 * RATE < first[0] < first[1] == second[0] < second[1] == 60 * RATE
    assert fourth[0] == 61 * RATE < fourth[1] < 63 * RATE
    assert dash == (fourth[1], fourth[1], False)


def test_without_time_at_either_end_words_take_none() -> None:
    placed = {1: PlacedWord(start=0, end=RATE, score=1)}
    assert interpolate(placed, [4, 4, 4], RATE) == [(0, 0, True), (0, RATE, False), (RATE, RATE, True)]


# ── segments ──


@st.composite
def known_words(draw: st.DrawFn) -> tuple[list[str], list[Anchor], Samples]:
    """A text and those of its words that are known, in speech with pauses of every length and foreign speech."""
    words = draw(st.lists(st.sampled_from(["word", "word", "word", "—"]), min_size=1, max_size=60))
    found: list[Anchor] = []
    at = draw(st.integers(0, 5 * RATE))
    for number, word in enumerate(words):
        if word == "—" or draw(st.integers(0, 9)) == 0:
            continue
        at += draw(st.sampled_from([0, 100, RATE // 2, 3 * RATE, 20 * RATE, 29 * RATE]))
        end = at + draw(st.sampled_from([RATE // 10, RATE, 4 * RATE]))
        after = draw(st.sampled_from([0, 0, 0, 2]))
        found.append(Anchor(number=number, start=at, end=end, after=after))
        at = end
    return words, found, at + draw(st.integers(0, 5 * RATE))


def letters(reading: AlignmentSession) -> list[int]:
    return [sum(map(len, tokens)) for tokens in reading.spoken]


def segments_of(words: Sequence[str], found: Sequence[Anchor], duration: Samples) -> list[Segment]:
    script = Script(words, [])
    placer = SegmentAligner(script, SeekableAudio(Path("nowhere")), duration, lambda _: None, letters=letters(script))
    return list(placer.segments(found))


@given(known_words())
def test_every_known_word_is_in_one_segment_with_its_time(case) -> None:
    words, found, duration = case
    segments = segments_of(words, found, duration)
    assert [number for segment in segments for number in segment.words] == [each.number for each in found]
    by_number = {each.number: each for each in found}
    for segment in segments:
        assert 0 <= segment.start <= by_number[segment.words[0]].start
        assert by_number[segment.words[-1]].end <= segment.end <= duration
    assert all(one.end < two.start + RATE // 100 for one, two in pairwise(segments))  # they begin on a grid


@given(known_words())
def test_no_segment_is_longer_than_a_minute(case) -> None:
    assert all(segment.end - segment.start <= SEGMENT for segment in segments_of(*case))


@given(known_words())
def test_no_segment_holds_a_word_that_was_not_found_or_other_speech(case) -> None:
    words, found, duration = case
    by_number = {each.number: each for each in found}
    for segment in segments_of(words, found, duration):
        for one, two in pairwise(segment.words):
            assert all(words[number] == "—" for number in range(one + 1, two))
            assert not by_number[two].after or by_number[two].start - by_number[one].end < RATE * 15 // 100


def test_segments_stop_short_of_other_speech() -> None:
    found = known((0, 1, 2), (1, 2.1, 3), (2, 9, 10), (3, 10, 11), after=[2])
    first, second = segments_of(["word"] * 4, found, 20 * RATE)
    assert (first.words, second.words) == ((0, 1), (2, 3))
    assert 3 * RATE <= first.end <= 3.1 * RATE
    assert 8.9 * RATE <= second.start <= 9 * RATE


def test_a_pause_alone_cuts_nothing() -> None:
    found = known((0, 1, 2), (1, 8, 9))
    assert [segment.words for segment in segments_of(["word", "word"], found, 20 * RATE)] == [(0, 1)]


def test_long_speech_is_cut_in_its_longest_pause() -> None:
    found = known(
        *((number, number + (1 if number >= 45 else 0), number + 0.9 + (number >= 45)) for number in range(80))
    )
    assert [len(segment.words) for segment in segments_of(["word"] * 80, found, 90 * RATE)] == [45, 35]


def test_very_long_pauses_are_no_part_of_a_segment() -> None:
    found = known((0, 1, 2), (1, 3, 4), (2, 400, 401), (3, 402, 403))
    segments = segments_of(["word"] * 4, found, 1_000 * RATE)
    assert [number for segment in segments for number in segment.words] == [0, 1, 2, 3]
    assert all(segment.end - segment.start <= SEGMENT for segment in segments)


def test_a_pause_at_the_end_of_a_minute_is_no_part_of_a_segment() -> None:
    found = known(*((number, number + 0.5, number + 1.5) for number in range(59)), (59, 88, 89), (60, 89, 90))
    segments = segments_of(["word"] * 61, found, 100 * RATE)
    assert [number for segment in segments for number in segment.words] == list(range(61))
    assert all(segment.end - segment.start <= SEGMENT for segment in segments)


def test_nothing_known_is_no_segment() -> None:
    assert segments_of(["word"], [], RATE) == []


# ── what was not heard ──


def test_a_word_that_was_mumbled_is_found_where_it_should_be(placer) -> None:
    words = "one two three four five six"
    said = [*talk("one two three", 1), *talk("four", 2.2, clear=False), *talk("five six", 2.6)]
    sut, reading = placer(words, said)
    filled = sut.fill_gaps(anchored(words, said))
    assert [(each.number, each.heard) for each in filled] == [
        (0, True), (1, True), (2, True), (3, False), (4, True), (5, True),
    ]  # fmt: skip
    assert (filled[3].start, filled[3].end) == (said[3].start, said[3].end)
    assert len(reading.asked) == 1


@pytest.mark.parametrize("dropped", ["one", "six", "three four"])
def test_a_word_that_was_dropped_is_not_found(placer, dropped) -> None:
    words = "one two three four five six"
    said = talk(" ".join(word for word in words.split() if word not in dropped), 1)
    sut, _ = placer(words, said)
    heard = anchored(words, said)
    assert sut.fill_gaps(heard) == heard


def test_words_before_the_first_known_one_and_behind_the_last_are_found(placer) -> None:
    words = "one two three four five six"
    said = [*talk("one two", 1, clear=False), *talk("three four", 1.8), *talk("five six", 2.6, clear=False)]
    sut, _ = placer(words, said)
    assert [each.number for each in sut.fill_gaps(anchored(words, said))] == [0, 1, 2, 3, 4, 5]


def test_a_text_of_which_nothing_was_heard_is_tried_as_a_whole(placer) -> None:
    sut, _ = placer("one two — three", talk("one two three", 5, clear=False))
    assert [(each.number, each.heard) for each in sut.fill_gaps([])] == [(0, False), (1, False), (3, False)]


def test_what_nobody_says_is_not_looked_for(placer) -> None:
    said = talk("one two three", 1)
    sut, reading = placer("one — two ... three", said)
    assert [each.number for each in sut.fill_gaps(anchored("one — two ... three", said))] == [0, 2, 4]
    assert reading.asked == []


def test_many_words_are_not_looked_for_where_there_is_no_time_for_them(placer) -> None:
    missing = " ".join(f"missing{number}" for number in range(100))
    said = talk("one two three four", 1)
    sut, reading = placer(f"one two {missing} three four", said)
    assert [each.number for each in sut.fill_gaps(anchored(f"one two {missing} three four", said))] == [0, 1, 102, 103]
    assert reading.asked == []


def test_known_words_stay_in_order_with_what_is_found_between(placer) -> None:
    words = " ".join(f"w{number}" for number in range(40))
    said = [
        each
        for number in range(40)
        for each in talk(f"w{number}", 1 + number * 0.5, clear=number % 7 != 3)
        if number % 9 != 5
    ]
    sut, _ = placer(words, said)
    filled = sut.fill_gaps(anchored(words, said))
    numbers = [each.number for each in filled]
    assert numbers == [number for number in range(40) if number % 9 != 5]
    assert all(one.end <= two.start for one, two in pairwise(filled))


# ── times ──


def test_a_segment_that_cannot_be_placed_keeps_the_times_as_heard(placer) -> None:
    said = talk("one two three four", 1)
    sut, reading = placer("one two three four", said, places=False)
    heard = {each.number: each for each in anchored("one two three four", said)}
    placed = sut.align(Segment(words=(0, 1, 2, 3), start=0, end=5 * RATE), heard)
    assert {n: (word.start, word.end) for n, word in placed.items()} == {n: (k.start, k.end) for n, k in heard.items()}
    assert {word.score for word in placed.values()} == {FITS}
    assert len(reading.asked) > 1


def test_halves_of_a_segment_that_can_be_placed_are() -> None:
    class Stubborn(Script):
        """Places no more than two words at once."""

        def align(self, stretch: Speech, words: Sequence[int]) -> tuple[PlacedWord | None, ...]:
            found = super().align(stretch, words)
            return found if len(words) <= 2 else (None,) * len(words)

    said = talk("one two three four | five", 1)
    reading = Stubborn([each.text for each in said], said)

    class Silence(SeekableAudio):
        def take(self, start: Samples, end: Samples) -> Speech:
            return Speech(start=start, audio=np.zeros(end - start, np.float32))

    sut = SegmentAligner(reading, Silence(Path("nowhere")), 10 * RATE, lambda _: None, letters=letters(reading))
    rough = {n: Anchor(number=n, start=each.start + 99, end=each.end - 99) for n, each in enumerate(said)}
    placed = sut.align(Segment(words=(0, 1, 2, 3, 4), start=0, end=5 * RATE), rough)
    assert [(word.start, word.end) for _, word in sorted(placed.items())] == [(each.start, each.end) for each in said]
    assert [words for _, _, words in reading.asked][:2] == [(0, 1, 2, 3, 4), (0, 1, 2, 3)]  # cut in the longest pause
