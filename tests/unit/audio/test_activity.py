"""Speech is found, cut, padded and bounded; volumes are what the contract says."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.audio.activity import (
    CHUNK,
    ActivityPolicy,
    Endpointer,
    Segmenter,
    VolumeTrack,
    filter_quiet,
    segments,
    volumes,
)
from sottovoce.audio.media import decode
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.transcript.model import RATE
from tests.examples import examples

FRAME = 512
SAMPLES = Path(__file__).parents[3] / "samples"


class Loudness:
    """A judge for tests: a frame's mean is its probability."""

    frame = FRAME

    def __call__(self, audio):
        return audio.reshape(-1, FRAME).mean(axis=1)


def whole(probabilities, policy=None, *, start=0):
    """The spans in frames of these probabilities."""
    machine = Endpointer(policy or ActivityPolicy(), FRAME, start=start)
    found = [span for span in map(machine.push, probabilities) if span]
    last = machine.finish(start + FRAME * len(probabilities))
    return [*found, *([last] if last else [])]


def spans(probabilities, policy=None, *, start=0):
    """Where speech is in frames of these probabilities."""
    return [(span.start, span.end) for span in whole(probabilities, policy, start=start)]


def runs(probabilities, policy=None, *, start=0):
    """The runs of speech of each span, in frames."""
    found = whole(probabilities, policy, start=start)
    return [[((run.start - start) / FRAME, (run.end - start) / FRAME) for run in span.voiced] for span in found]


def signal(probabilities):
    return np.repeat(np.array(probabilities, np.float32), FRAME)


def test_speech_is_padded_and_ended_by_silence():
    assert spans([0] * 10 + [0.9] * 20 + [0] * 20) == [(10 * FRAME - 2_400, 30 * FRAME + 2_400)]
    assert spans([0.9] * 20 + [0] * 20, start=1_000) == [(1_000, 1_000 + 20 * FRAME + 2_400)]


def test_an_end_is_known_as_soon_as_the_silence_is_long_enough():
    machine = Endpointer(ActivityPolicy(), FRAME)
    answers = [machine.push(p) for p in [0.9] * 20 + [0] * 20]
    at = next(k for k, span in enumerate(answers) if span)
    assert at == 20 + -(-4_800 // FRAME) - 1
    assert [machine.speaking, machine.keep] == [False, 40 * FRAME - 2_400]


def test_hysteresis():
    between = [0.4] * 10  # neither begins nor ends
    assert spans(between) == []
    assert spans([0.9] * 10 + between + [0.9] * 5) == [(0, 25 * FRAME)]
    assert spans([0.9] * 10 + [0.1] + between) == [(0, 10 * FRAME + 2_400)]


def test_short_pauses_do_not_end_and_short_noises_do_not_count():
    assert spans([0.9] * 10 + [0] * 9 + [0.9] * 10) == [(0, 29 * FRAME)]
    assert spans([0] * 10 + [0.9] * 3 + [0] * 30) == []
    assert len(spans([0] * 10 + [0.9] * 4 + [0] * 30)) == 1


def test_pads_of_neighbours_do_not_overlap():
    policy = ActivityPolicy(pad=4_000)
    first, second = spans([0.9] * 10 + [0] * 12 + [0.9] * 10, policy)
    assert first == (0, 10 * FRAME + 4_000)
    assert second[0] == first[1]


def test_long_speech_is_cut_at_its_weakest_moment():
    policy = ActivityPolicy(max_speech=100 * FRAME, pad=0)
    speech = [0.95] * 90 + [0.6] + [0.95] * 60
    assert spans(speech, policy) == [(0, 90 * FRAME), (90 * FRAME, 151 * FRAME)]


def test_what_a_cut_leaves_is_kept_however_short():
    policy = ActivityPolicy(max_speech=100 * FRAME, pad=0)
    speech = [0.95] * 97 + [0.5] + [0.95] * 2 + [0] * 20
    assert spans(speech, policy) == [(0, 97 * FRAME), (97 * FRAME, 100 * FRAME)]


# ── runs of speech, and cuts in pauses ──

LONG = ActivityPolicy(min_silence=40 * FRAME, inner_pause=4 * FRAME, max_speech=100 * FRAME, pad=0)
"""Spans that hold pauses of up to 40 frames, of which those from 4 frames on part runs of speech."""


def test_a_span_knows_its_speech_without_pads():
    assert runs([0] * 10 + [0.9] * 20 + [0] * 20) == [[(10, 30)]]
    assert runs([0.9] * 20, start=1_000) == [[(0, 20)]]


def test_pauses_part_runs_and_shorter_ones_do_not():
    speech = [0.9] * 10
    assert runs(speech + [0] * 4 + speech + [0] * 3 + speech, LONG) == [[(0, 10), (14, 37)]]
    assert runs(speech + [0] * 20 + speech + [0] * 50 + speech, LONG) == [[(0, 10), (30, 40)], [(90, 100)]]


def test_frames_that_are_neither_speech_nor_silence_part_no_run():
    assert runs([0.9] * 10 + [0.4] * 10 + [0.9] * 10, LONG) == [[(0, 30)]]
    assert runs([0.9] * 10 + [0.2] + [0.4] * 9 + [0.9] * 10, LONG) == [[(0, 10), (20, 30)]]


def test_a_cut_comes_in_the_middle_of_a_pause():
    speech = [0.95] * 80 + [0] * 10 + [0.95] * 60
    (first, second) = whole(speech, LONG)
    assert first.end == second.start
    assert 83 * FRAME <= first.end <= 87 * FRAME
    assert runs(speech, LONG) == [[(0, 80)], [(90, 150)]]


def test_a_pause_is_a_better_place_for_a_cut_than_one_weak_frame():
    speech = [0.95] * 78 + [0.3] * 8 + [0.95] * 4 + [0.2] + [0.95] * 60
    first = whole(speech, LONG)[0]
    assert 79 * FRAME <= first.end <= 85 * FRAME


def test_a_run_that_is_cut_is_in_both_spans():
    assert runs([0.95] * 90 + [0.6] + [0.95] * 60, LONG) == [[(0, 90)], [(90, 151)]]


def test_a_cut_leaves_its_runs_to_the_spans_that_they_are_in():
    speech = [0.9] * 40 + [0] * 10 + [0.9] * 25 + [0] * 12 + [0.9] * 70
    first, second = runs(speech, LONG)
    assert first == [(0, 40), (50, 75)]
    assert second == [(87, 157)]


def test_stretches_come_with_their_runs_in_media_time():
    (stretch,) = segments(
        [signal([0] * 10 + [0.9] * 10 + [0] * 8 + [0.9] * 10 + [0] * 60)], Loudness(), LONG, start=70_000
    )
    assert [((run.start - 70_000) / FRAME, (run.end - 70_000) / FRAME) for run in stretch.voiced] == [
        (10, 20),
        (28, 38),
    ]


@pytest.mark.parametrize("wrong", [{"pad": -1}, {"min_silence": -1}, {"max_speech": 16_000}])
def test_impossible_policies(wrong):
    with pytest.raises(ValueError, match="policy"):
        ActivityPolicy(**wrong)


policies = st.builds(
    ActivityPolicy,
    min_speech=st.integers(0, 4_000),
    min_silence=st.integers(0, 8_000),
    pad=st.integers(0, 4_000),
    max_speech=st.integers(24_000, 60_000),
    inner_pause=st.integers(0, 8_000),
)
probability_runs = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.99]), st.integers(1, 60)), max_size=12
).map(lambda runs: [p for p, n in runs for _ in range(n)])


@settings(deadline=None, max_examples=examples(200))
@given(probability_runs, policies)
def test_spans_are_ordered_apart_bounded_and_hold_all_loud_frames(probabilities, policy):
    found = spans(probabilities, policy)
    total = FRAME * len(probabilities)
    assert all(0 <= a < b <= total and b - a <= policy.max_speech for a, b in found)
    assert all(b <= c for (_, b), (c, _) in pairwise(found))
    loud = [k for k, p in enumerate(probabilities) if p >= policy.threshold]
    if policy.min_speech == 0:
        assert all(any(a <= k * FRAME and (k + 1) * FRAME <= b for a, b in found) for k in loud)
    assert bool(loud) or not found


@settings(deadline=None, max_examples=examples(200))
@given(probability_runs, policies)
def test_runs_lie_in_their_spans_and_hold_all_loud_frames(probabilities, policy):
    found = whole(probabilities, policy)
    voiced = [run for span in found for run in span.voiced]
    assert all(span.voiced for span in found)
    assert all(span.start <= run.start < run.end <= span.end for span in found for run in span.voiced)
    assert all(one.end <= other.start for one, other in pairwise(voiced))
    for span in found:
        assert all(other.start - one.end >= policy.inner_pause for one, other in pairwise(span.voiced))
    if policy.min_speech == 0:
        loud = [k * FRAME for k, p in enumerate(probabilities) if p >= policy.threshold]
        assert all(any(run.start <= at and at + FRAME <= run.end for run in voiced) for at in loud)


@settings(deadline=None, max_examples=examples(200))
@given(probability_runs, policies)
def test_a_run_has_no_pause_in_it(probabilities, policy):
    low = policy.threshold - policy.hysteresis
    for span in whole(probabilities, policy):
        for run in span.voiced:
            silent: int | None = None
            for at in range(run.start // FRAME, run.end // FRAME):
                if probabilities[at] >= policy.threshold:
                    silent = None
                elif probabilities[at] < low and silent is None:
                    silent = at
                assert silent is None or (at + 1 - silent) * FRAME < max(policy.inner_pause, FRAME + 1)


@settings(deadline=None, max_examples=examples(100))
@given(
    probability_runs,
    policies,
    st.lists(st.integers(0, 3_000), max_size=20),
    st.integers(0, FRAME - 1),
    st.integers(0, 10**9),
)
def test_blocks_of_any_length_give_the_same_audio(probabilities, policy, lengths, tail, start):
    audio = np.concatenate([signal(probabilities), np.full(tail, 0.99, np.float32)])
    cuts = np.cumsum([0, *lengths])[1:].tolist()
    blocks = np.split(audio, [c for c in cuts if c < len(audio)])
    at_once = list(segments([audio], Loudness(), policy, start=start))
    cut = list(segments(blocks, Loudness(), policy, start=start))
    assert [(s.start, s.end, s.voiced) for s in cut] == [(s.start, s.end, s.voiced) for s in at_once]
    for speech in cut:
        assert np.array_equal(speech.audio, audio[speech.start - start : speech.end - start])


def test_what_is_held_is_bounded():
    segmenter = Segmenter(Loudness(), ActivityPolicy())
    for level in (0.0, 0.9):
        for _ in range(100):
            segmenter.push(np.full(RATE, level, np.float32))
            assert sum(map(len, segmenter._held)) <= 22 * RATE
    segmenter.push(np.zeros(2 * RATE, np.float32))
    assert sum(map(len, segmenter._held)) <= 3 * RATE
    assert not segmenter.speaking


def test_the_demo_has_its_four_sentences():
    found = list(segments((block[0] for block in decode(SAMPLES / "demo.wav")), SileroVad(), ActivityPolicy()))
    assert 4 <= len(found) <= 5  # a comma may be heard as a pause
    assert all(s.audio.dtype == np.float32 for s in found)
    assert sum(len(s.audio) for s in found) > 12 * RATE


def test_volume_is_rms_of_full_scale():
    square = np.tile(np.array([1, -1], np.float32), CHUNK)
    assert volumes(square).tolist() == [100, 100]
    sine = np.sin(np.arange(CHUNK) * 2 * np.pi / 80).astype(np.float32)
    assert volumes(sine).tolist() == pytest.approx([70.71], abs=0.01)
    assert volumes(np.zeros(CHUNK + 7, np.float32)).tolist() == [0]


@settings(deadline=None, max_examples=examples(50))
@given(st.integers(0, 2_000), st.lists(st.integers(1, 400), max_size=10), st.sampled_from([0, 3.4, 20, 100]))
def test_filtering_silences_quiet_chunks_and_nothing_else(n, lengths, threshold):
    audio = (np.random.default_rng(n).uniform(-1, 1, n) * np.repeat([0.01, 0.1, 0.9], 700)[:n]).astype(np.float32)
    cuts = np.cumsum([0, *lengths])[1:].tolist()
    out = np.concatenate([np.zeros(0), *filter_quiet(np.split(audio, [c for c in cuts if c < n]), threshold)])
    assert len(out) == n
    for at in range(0, n, CHUNK):
        chunk = audio[at : at + CHUNK]
        quiet = np.sqrt(np.mean(chunk.astype(np.float64) ** 2)) * 100 < threshold
        assert np.array_equal(out[at : at + CHUNK], chunk * (not quiet))


def test_word_volume_plays_down_silence_in_long_words():
    track = VolumeTrack(start=1_600)
    level = [0.2] * 10 + [0.0] * 90 + [0.4] * 10
    audio = np.repeat(np.array(level, np.float32), CHUNK)
    assert sum(map(len, track.through(np.split(audio, [77, 5_000])))) == len(audio)
    assert track.volume(1_600, 1_600 + 10 * CHUNK) == pytest.approx(20)
    assert track.volume(1_600, 1_600 + 100 * CHUNK) == pytest.approx(20)  # the plain mean would be 2
    assert track.volume(1_600, 1_600 + 110 * CHUNK) == pytest.approx(100 / 3)
    assert track.volume(1_600 + 20 * CHUNK, 1_600 + 30 * CHUNK) == 0
    assert track.volume(0, 100) == pytest.approx(20)  # before the stream: its first chunk
    assert track.volume(10**9, 10**9 + 1) == 0
