"""Stretches into chunks and words back into stretches: every sample is heard, and every word finds its place."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.audio.activity import Speech
from sottovoce.engines.chunks import OVERLAP, PAUSE, Chunk, pack, weave
from sottovoce.engines.heard import Heard
from sottovoce.transcript.model import RATE

LONGEST = 30 * RATE


def speech(*stretches):
    """Stretches (start, end) in seconds; each sample's value is its number in the media."""
    return [
        Speech(start=round(start * RATE), audio=np.arange(round(start * RATE), round(end * RATE), dtype=np.float64))
        for start, end in stretches
    ]


def own(chunk: Chunk):
    """Where each part of a chunk begins and ends in the media, in seconds, without what its neighbours lent."""
    spans = [[part.start, part.start + part.length] for part in chunk.parts]
    spans[0][0] = chunk.begins if chunk.begins is not None else spans[0][0]
    spans[-1][1] = chunk.ends if chunk.ends is not None else spans[-1][1]
    return [(start / RATE, end / RATE) for start, end in spans]


def packed(*stretches):
    return list(pack(speech(*stretches), LONGEST))


def word(text, start, end):
    return Heard(text=text, start=start, end=end, probability=0.9)


def test_neighbours_share_a_chunk_with_a_short_silence_between():
    (chunk,) = packed((1, 3), (3.2, 5), (60, 62))
    assert own(chunk) == [(1, 3), (3.2, 5), (60, 62)]
    assert len(chunk.audio) == round(5.8 * RATE) + round(0.2 * RATE) + PAUSE
    assert not chunk.audio[chunk.parts[1].at + chunk.parts[1].length : chunk.parts[2].at].any()


def test_a_chunk_ends_at_the_longest_pause_of_its_last_third():
    chunks = packed((0, 10), (10.4, 20), (24, 26), (26.4, 30), (30.4, 34))
    assert [own(chunk)[0][0] for chunk in chunks] == [0, 24]


def test_without_a_pause_neighbours_hear_a_second_of_each_other():
    first, second, third = packed((0, 20), (20, 40), (40, 55))
    assert (first.begins, first.ends) == (None, 20 * RATE)
    assert (second.begins, second.ends) == (20 * RATE, 40 * RATE)
    assert (third.begins, third.ends) == (40 * RATE, None)
    assert [len(chunk.audio) for chunk in (first, second, third)] == [21 * RATE, 22 * RATE, 16 * RATE]
    assert second.audio[0] == 19 * RATE
    assert second.audio[-1] == 41 * RATE - 1
    assert [(part.at, part.start) for part in second.parts] == [(0, 19 * RATE)]


def test_a_short_neighbour_lends_what_it_has():
    first, second = packed((0, 27.8), (27.8, 28.1), (30, 50))
    assert (first.ends, len(first.audio)) == (round(27.8 * RATE), round(28.1 * RATE))
    assert len(second.audio) == OVERLAP + round(0.3 * RATE) + PAUSE + 20 * RATE


def test_a_stretch_longer_than_a_chunk_is_cut_into_equal_parts():
    chunks = packed((5, 75))
    assert [own(chunk) for chunk in chunks] == [
        [(5, pytest.approx(28.33, abs=0.01))],
        [(pytest.approx(28.33, abs=0.01), pytest.approx(51.66, abs=0.01))],
        [(pytest.approx(51.66, abs=0.01), 75)],
    ]
    assert [chunk.spans for chunk in chunks[:2]] == [(), ()]
    assert [(span.start, span.end) for span in chunks[2].spans] == [(5 * RATE, 75 * RATE)]
    ((span, words),) = weave((chunk, []) for chunk in chunks)
    assert (span.start, span.end, words) == (5 * RATE, 75 * RATE, ())


def test_packing_is_lazy_and_reads_no_further_than_the_next_chunk():
    read = []

    def endless():
        at = 0.0
        while True:
            read.append(at)
            yield from speech((at, at + 9))
            at += 10

    chunks = pack(endless(), LONGEST)
    assert read == []
    next(chunks)
    assert len(read) == 4
    next(chunks)
    assert len(read) <= 7


def test_no_speech_makes_no_chunk():
    assert packed() == []
    (chunk,) = packed((3, 3))
    assert len(chunk.audio) == 0
    assert [span.start for span, _ in weave([(chunk, [])])] == [3 * RATE]


def test_a_window_without_room_is_refused():
    with pytest.raises(ValueError, match="no room"):
        next(pack(speech((0, 1)), 3 * RATE))


STRETCHES = st.lists(
    st.tuples(st.sampled_from([0, 0, 80, 200, 700, 4_000, 30_000]), st.integers(0, 20_000)), min_size=1, max_size=40
)


def line(stretches):
    """Milliseconds of pause and speech → (start, end) in seconds."""
    at, spans = 0, []
    for pause, length in stretches:
        at += pause
        spans.append((at / 1000, (at + length) / 1000))
        at += length
    return spans


@settings(deadline=None, max_examples=40)
@given(STRETCHES)
def test_every_sample_is_in_exactly_one_chunk_as_its_own(stretches):
    spans = line(stretches)
    chunks = packed(*spans)
    assert all(len(chunk.audio) <= LONGEST for chunk in chunks)
    assert [(s.start, s.end) for chunk in chunks for s in chunk.spans] == [
        (stretch.start, stretch.end) for stretch in speech(*spans)
    ]
    covered = [span for chunk in chunks for span in own(chunk)]
    assert all(end <= start + 1e-9 for (_, end), (start, _) in pairwise(covered))
    assert sum(end - start for start, end in covered) == pytest.approx(sum(end - start for start, end in spans))
    for chunk in chunks:
        for part in chunk.parts:
            audio = chunk.audio[part.at : part.at + part.length]
            assert np.array_equal(audio, np.arange(part.start, part.start + part.length))


@settings(deadline=None, max_examples=40)
@given(STRETCHES)
def test_words_come_back_into_their_stretches(stretches):
    """A perfect engine: one word in the middle of each half second, written down by every chunk that hears all of it."""
    spans = line(stretches)
    said = {}
    for number, stretch in enumerate(speech(*spans)):
        for at in range(stretch.start + RATE // 8, stretch.end - RATE // 4, RATE // 2):
            said[f"w{number}-{at}"] = (number, at, at + RATE // 4)

    def heard(chunk):
        for text, (_, start, end) in said.items():
            for part in chunk.parts:
                if part.start <= start and end <= part.start + part.length:
                    yield word(text, start - part.start + part.at, end - part.start + part.at)

    found = list(weave((chunk, list(heard(chunk))) for chunk in packed(*spans)))
    assert [(span.start, span.end) for span, _ in found] == [(each.start, each.end) for each in speech(*spans)]
    back = {each.text: (number, each.start, each.end) for number, (_, words) in enumerate(found) for each in words}
    assert back == said
    assert sum(len(words) for _, words in found) == len(said)


@settings(deadline=None, max_examples=40)
@given(
    STRETCHES,
    st.lists(st.lists(st.tuples(st.integers(-RATE, 35 * RATE), st.integers(0, 3 * RATE)), max_size=20), max_size=40),
)
def test_whatever_times_an_engine_gives_words_stay_inside_and_in_order(stretches, nonsense):
    chunks = packed(*line(stretches))
    made = nonsense + [[]] * len(chunks)
    heard = [
        [word(f"{n}.{k}", at, at + length) for k, (at, length) in enumerate(sorted(words))]
        for n, words in zip(range(len(chunks)), made, strict=False)
    ]
    found = list(weave(zip(chunks, heard, strict=True)))
    assert len(found) == sum(len(chunk.spans) for chunk in chunks)
    for span, words in found:
        at = span.start
        for each in words:
            assert at <= each.start <= each.end <= span.end
            at = each.end
    if not any(chunk.begins for chunk in chunks):
        assert sum(len(words) for _, words in found) == sum(map(len, heard))


def test_a_word_in_the_silence_goes_to_the_nearer_stretch():
    (chunk,) = packed((1, 3), (9, 11))
    silence = chunk.parts[0].length
    heard = [word("a", silence + 100, silence + 200), word("b", silence + PAUSE - 200, silence + PAUSE - 100)]
    assert [[each.text for each in words] for _, words in weave([(chunk, heard)])] == [["a"], ["b"]]


def test_whoever_begins_later_comes_to_the_same_chunks():
    """So an attempt that goes on after a crash hears the rest of the media as the first one would have."""
    alike = 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        spans = line([(int(random.integers(200, 2_000)), int(random.integers(500, 9_000))) for _ in range(50)])
        whole = {(chunk.parts[0].start, len(chunk.audio)) for chunk in packed(*spans)}
        rest = [(chunk.parts[0].start, len(chunk.audio)) in whole for chunk in packed(*spans[seed + 1 :])]
        alike += rest[-1]
        assert sorted(rest) == rest  # once alike, alike to the end
    assert alike >= 8
