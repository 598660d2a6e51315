"""Voices are told apart without a model: how many, who when, what a print says, and that nothing odd breaks it."""

import math
import struct
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from bench import conversations, diarization
from bench.conversations import Told
from sottovoce.audio.activity import Speech
from sottovoce.engines.diarization.gaussian import voiceprint
from sottovoce.engines.diarization.gaussian.clustering import MOST_VOICES, cluster_in_blocks
from sottovoce.engines.diarization.gaussian.diarizer import CAPABILITIES, GaussianDiarizer
from sottovoce.engines.diarization.gaussian.features import COEFFICIENTS, frames
from sottovoce.engines.diarization.gaussian.likelihood import Prior, merge_log_likelihood_ratio, sufficient_stats
from sottovoce.engines.diarization.gaussian.viterbi import viterbi
from sottovoce.engines.protocols import DiarizationHints, Diarized, Diarizer, Skill

RATE = 16_000
PLAIN = DiarizationHints()


@pytest.fixture(scope="module")
def talks():
    """The conversations of the fixtures by how many speak, with the stretches that a diarizer hears."""
    return {
        len({turn.speaker for turn in each.told}): (each, diarization.stretches(each))
        for each in conversations.fixtures()
    }


def diarized(speech, hints: DiarizationHints = PLAIN) -> Diarized:
    return GaussianDiarizer().diarize(lambda: iter(speech), hints)


def speech(audio, start: int = 0) -> Speech:
    return Speech(start=start, audio=np.asarray(audio, np.float32))


# ── conversations ──


@pytest.mark.parametrize("voices", [2, 3, 4])
def test_it_finds_how_many_speak_and_who_when(talks, voices):
    talk, heard = talks[voices]
    found = diarized(heard)
    assert len(found.voices) == voices
    rates = diarization.errors(talk.told, diarization.turns(found), talk.seconds)
    assert rates.confusion < 0.03
    assert rates.rate < 0.05


def test_one_who_speaks_alone_is_one_voice(talks):
    talk, heard = talks[2]
    alone = [turn for turn in talk.told if turn.speaker == "slt"]
    own = [each for each in heard if any(turn.start - 0.3 < each.start / RATE < turn.end for turn in alone)]
    assert 0 < len(own) < len(heard)
    assert len(diarized(own).voices) == 1


def test_turns_cover_all_speech_in_order_and_voices_are_counted_by_appearance(talks):
    _, heard = talks[3]
    found = diarized(heard)
    assert [turn.start for turn in found.turns] == sorted(turn.start for turn in found.turns)
    assert all(one.end <= other.start for one, other in zip(found.turns, found.turns[1:], strict=False))
    assert sum(turn.end - turn.start for turn in found.turns) == sum(len(each.audio) for each in heard)
    assert list(dict.fromkeys(turn.voice for turn in found.turns)) == list(range(len(found.voices)))


def test_stretches_that_touch_and_are_one_voice_are_one_turn(talks):
    _, heard = talks[2]
    first = heard[0]
    middle = len(first.audio) // 2
    parts = [speech(first.audio[:middle], first.start), speech(first.audio[middle:], first.start + middle)]
    assert diarized(parts).turns == diarized([first]).turns


def test_the_same_recording_gives_the_same_answer(talks):
    _, heard = talks[4]
    assert diarized(heard) == diarized(heard)


def test_it_listens_no_more_than_it_must(talks):
    _, heard = talks[2]
    calls = []

    def listen():
        calls.append(1)
        return iter(heard)

    GaussianDiarizer().diarize(listen, PLAIN)
    assert len(calls) == 1


def test_more_sensitivity_finds_no_fewer_speakers(talks):
    _, heard = talks[4]
    found = [len(diarized(heard, DiarizationHints(sensitivity=each)).voices) for each in (0.0, 0.5, 1.0)]
    assert found == sorted(found)
    assert found[0] < found[-1]


def test_who_prefers_the_current_speaker_hears_no_more_changes(talks):
    for _, heard in talks.values():
        loath = diarized(heard, DiarizationHints(prefer_current=True))
        assert changes(loath) <= changes(diarized(heard))


def changes(found: Diarized) -> int:
    return sum(one.voice != other.voice for one, other in zip(found.turns, found.turns[1:], strict=False))


def test_it_says_what_it_can_do():
    diarizer: Diarizer = GaussianDiarizer()
    assert diarizer.capabilities == CAPABILITIES
    assert CAPABILITIES.skills == {Skill.DIARIZATION, Skill.LIVE_DIARIZATION}
    assert CAPABILITIES.voiceprints == "builtin-1"


# ── long recordings ──


def said_for(minutes: int, stretches, seed: int = 0):
    """Parts of *stretches* again and again, the colour of the sound slowly changing; which stretch each is of."""
    chance = np.random.default_rng(seed)
    parts, which, at = [], [], 0
    while at < minutes * 60 * RATE:
        which.append(int(chance.integers(len(stretches))))
        whole = stretches[which[-1]].audio
        length = min(len(whole), int(chance.uniform(1.5, 6.0) * RATE))
        begin = int(chance.integers(len(whole) - length + 1))
        part = whole[begin : begin + length].copy()
        part[1:] -= (0.15 + 0.15 * math.sin(at / (40 * RATE))) * part[:-1]
        parts.append(speech(part + chance.standard_normal(length) * 1e-4, at))
        at += length
    return parts, which


def by_one(talk, heard):
    """The stretches in which only one speaks, and who."""
    found = []
    for each in heard:
        names = [turn.speaker for turn in talk.told if overlap_of(each, turn) > 0.0]
        if len(names) == 1:
            found.append((each, names[0]))
    return found


def overlap_of(heard: Speech, turn: Told) -> float:
    return min(heard.end / RATE, turn.end) - max(heard.start / RATE, turn.start)


def test_minutes_of_one_voice_stay_one_voice(talks):
    own = [each for each, name in by_one(*talks[2]) if name == "slt"]
    parts, _ = said_for(4, own)
    assert len(diarized(parts).voices) == 1


def test_minutes_of_some_voices_stay_those(talks):
    pairs = by_one(*talks[4])
    parts, which = said_for(4, [each for each, _ in pairs])
    found = diarized(parts)
    told = [
        Told(start=part.start / RATE, end=part.end / RATE, speaker=pairs[at][1])
        for part, at in zip(parts, which, strict=True)
    ]
    assert len(found.voices) == len({turn.speaker for turn in told}) >= 3
    assert diarization.errors(told, diarization.turns(found), told[-1].end).confusion < 0.05


# ── odd sounds ──

NOISE = np.random.default_rng(0).standard_normal(10 * RATE) * 0.1

ODD = {
    "silence": np.zeros(10 * RATE),
    "a constant": np.full(10 * RATE, 0.7),
    "noise": NOISE,
    "clipped noise": np.sign(NOISE),
    "a tone": np.sin(np.arange(10 * RATE) * 0.05),
    "no numbers": np.full(5 * RATE, np.nan),
    "infinity": np.full(5 * RATE, np.inf),
    "far too loud": NOISE * 1e30,
    "hardly anything": NOISE * 1e-12,
    "one sample": np.ones(1),
    "less than a frame": np.ones(399),
    "one frame": np.ones(400),
    "a little more": np.ones(561),
}


@pytest.mark.parametrize("kind", list(ODD))
def test_odd_sounds_are_one_voice_at_most_a_few_and_never_a_failure(kind):
    sound = ODD[kind]
    found = diarized([speech(sound, 100)])
    assert 1 <= len(found.voices) <= 2
    assert (found.turns[0].start, found.turns[-1].end) == (100, 100 + len(sound))
    assert all(len(voice.voiceprint) <= 8_192 for voice in found.voices)
    own = found.voices[0].voiceprint
    assert GaussianDiarizer().similarity(own, own) > 0.5


def test_no_speech_gives_no_turns():
    assert diarized([]) == Diarized()
    assert diarized([speech([])]) == Diarized()


def test_less_than_a_second_and_a_half_is_one_voice(talks):
    _, heard = talks[2]
    short = [speech(heard[0].audio[: RATE // 2]), speech(heard[-1].audio[: RATE // 2], RATE)]
    found = diarized(short)
    assert [turn.voice for turn in found.turns] == [0, 0]


def test_two_at_once_and_many_crumbs_are_survived(talks):
    _, heard = talks[2]
    length = min(len(heard[0].audio), len(heard[-1].audio))
    both = heard[0].audio[:length] + heard[-1].audio[:length]
    assert 1 <= len(diarized([speech(both)]).voices) <= 3
    crumbs = [speech([0.1], 1_000 * at) for at in range(200)]
    assert len(diarized(crumbs).turns) == 200


# ── prints ──


@pytest.fixture(scope="module")
def prints(talks):
    """Print and pitch of each voice of flite, by conversation and name."""
    found = {}
    for voices, (talk, heard) in talks.items():
        answer = diarized(heard)
        for name in {turn.speaker for turn in talk.told}:
            spans = [(turn.start, turn.end) for turn in talk.told if turn.speaker == name]
            shares = [
                sum(overlap(turn, span) for turn in answer.turns if turn.voice == voice for span in spans)
                for voice in range(len(answer.voices))
            ]
            found[voices, name] = answer.voices[shares.index(max(shares))]
    return found


def overlap(turn, span) -> float:
    return float(max(0.0, min(turn.end / RATE, span[1]) - max(turn.start / RATE, span[0])))


def test_prints_of_one_voice_are_alike_and_those_of_two_are_not(prints):
    similarity = GaussianDiarizer().similarity
    for (where, name), voice in prints.items():
        for (elsewhere, other), another in prints.items():
            if (where, name) != (elsewhere, other):
                likely = similarity(voice.voiceprint, another.voiceprint)
                assert likely == pytest.approx(similarity(another.voiceprint, voice.voiceprint))
                assert (likely > 0.6) if name == other else (likely < 0.4), (where, name, elsewhere, other)


def test_the_pitch_tells_a_woman_from_men(prints):
    pitches = {key: voice.pitch for key, voice in prints.items()}
    assert all(pitch and 60 < pitch < 400 for pitch in pitches.values())
    assert min(pitch for (_, name), pitch in pitches.items() if name == "slt") > 150
    assert max(pitch for (_, name), pitch in pitches.items() if name != "slt") < 140


@pytest.mark.parametrize("hertz", [70, 110, 180, 290, 380])
def test_the_pitch_of_a_buzz_is_its_own_and_no_octave_off(hertz):
    at = np.arange(RATE)
    buzz = 0.2 * sum(np.sin(2 * np.pi * hertz * harmonic * at / RATE) / harmonic for harmonic in range(1, 8))
    voiced = np.exp(np.nanmedian(frames(buzz.astype(np.float32)).pitch))
    assert voiced == pytest.approx(hertz, rel=0.03)


def test_a_print_comes_back_as_it_was(prints):
    for voice in prints.values():
        assert voiceprint.unpacked(voice.voiceprint).packed() == voice.voiceprint


def broken(data: bytes, at: int, value: float) -> bytes:
    place = 1 + 4 * at
    return data[:place] + struct.pack("<f", value) + data[place + 4 :]


def test_bytes_that_are_no_print_are_refused(prints):
    good = prints[2, "slt"].voiceprint
    first_covariance = 2 + COEFFICIENTS
    hostile = [
        b"",
        b"\x01",
        good[:-1],
        good + b"\x00",
        b"\x02" + good[1:],
        b"\xff" * len(good),
        b"\x01" + b"\x00" * (len(good) - 1),
        broken(good, 0, math.nan),
        broken(good, 0, -1.0),
        broken(good, 1, math.inf),
        broken(good, 3, math.nan),
        broken(good, 4, 1e30),
        broken(good, first_covariance, -5.0),
        broken(good, first_covariance + 1, 9e3),
    ]
    for data in hostile:
        with pytest.raises(ValueError, match="print"):
            GaussianDiarizer().similarity(good, data)
        with pytest.raises(ValueError, match="print"):
            GaussianDiarizer().similarity(data, good)


def test_random_prints_are_refused_or_have_a_likeness(prints):
    good = prints[2, "slt"].voiceprint
    chance = np.random.default_rng(0)
    for _ in range(200):
        at = int(chance.integers(1, len(good)))
        data = good[:at] + bytes([int(chance.integers(256))]) + good[at + 1 :]
        try:
            assert 0.0 <= GaussianDiarizer().similarity(good, data) <= 1.0
        except ValueError:
            continue


def test_a_print_without_pitch_can_be_compared(prints):
    own = voiceprint.unpacked(prints[2, "slt"].voiceprint)
    assert voiceprint.similarity(own, replace(own, pitch=None)) > 0.6


# ── many segments ──


def many(voices: int, segments: int, length: int = 60):
    """Frames of *segments* segments in turn, spoken by *voices* well-spread normals."""
    chance = np.random.default_rng(1)
    centres = chance.standard_normal((voices, COEFFICIENTS)) * 4
    return [centres[at % voices] + chance.standard_normal((length, COEFFICIENTS)) for at in range(segments)]


def clustered(sounds, block: int = 100):
    every = np.concatenate(sounds)
    prior = Prior(every.mean(axis=0), np.cov(every.T))
    values, vectors = np.linalg.eigh(np.cov(every.T))
    white = vectors / np.sqrt(values)

    def sample(which):
        return (np.concatenate([sounds[at] for at in which])[:500] - prior.mean) @ white

    return cluster_in_blocks(sufficient_stats(sounds), prior, sample, doubt=100.0, block=block)


def test_blocks_of_segments_give_the_voices_that_there_are():
    labels = clustered(many(5, 1_000))
    assert len(set(labels.tolist())) == 5
    assert all(len(set(labels[at::5].tolist())) == 1 for at in range(5))


def test_thirty_voices_are_told_apart():
    assert len(set(clustered(many(30, 240, 200), block=400).tolist())) == 30


def test_one_voice_whose_sound_drifts_stays_one_however_long_it_speaks():
    chance = np.random.default_rng(4)
    drift = np.cumsum(chance.standard_normal((8, COEFFICIENTS)) * 0.2, axis=0)
    assert set(clustered([each + chance.standard_normal((20_000, COEFFICIENTS)) for each in drift]).tolist()) == {0}


def test_more_than_half_a_minute_of_a_voice_counts_for_no_more():
    clusters = sufficient_stats([np.full((100, COEFFICIENTS), 2.0), np.full((10, COEFFICIENTS), 3.0)])
    capped = clusters.capped(5.0)
    assert capped.count.tolist() == pytest.approx([5.0, 2.0])
    assert capped.total[:, 0].tolist() == pytest.approx([10.0, 6.0])
    assert capped.squares[:, 0, 1].tolist() == pytest.approx([20.0, 18.0])


def test_the_memory_for_many_segments_is_bounded():
    sounds = many(20, 1_600, 20)
    tracemalloc.start()
    try:
        clustered(sounds, block=50)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 18e6  # the square of 1,600 in float64 alone is 20 MB


def test_there_are_never_more_than_the_most_voices():
    labels = clustered(many(MOST_VOICES + 20, 2 * MOST_VOICES + 40), block=400)
    assert len(set(labels.tolist())) <= MOST_VOICES


def test_features_of_a_long_stretch_are_those_of_its_parts_and_take_little_memory():
    sound = np.random.default_rng(2).standard_normal(120 * RATE).astype(np.float32) * 0.1
    tracemalloc.start()
    try:
        whole = frames(sound)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50e6  # the spectra of all frames at once would take 200 MB
    part = frames(sound[50 * RATE : 60 * RATE])
    assert np.allclose(whole.cepstra[5_001:5_900], part.cepstra[1:900], atol=1e-3)


def test_one_voice_fits_one_mixture_and_two_do_not():
    chance = np.random.default_rng(3)
    one = chance.standard_normal((1_000, COEFFICIENTS))
    assert (
        merge_log_likelihood_ratio(one[:500], one[500:]) > merge_log_likelihood_ratio(one[:500], one[500:] + 2.0) + 300
    )


def test_a_path_changes_only_for_enough():
    scores = np.zeros((30, 2))
    scores[:10, 0] = scores[20:, 0] = scores[10:20, 1] = 1.0
    assert viterbi(scores, 3.0).tolist() == [0] * 10 + [1] * 10 + [0] * 10
    assert viterbi(scores, 6.0).tolist() == [0] * 30


def test_the_judge_of_the_conversations_counts_a_known_case():
    told = [Told(start=0, end=5, speaker="a"), Told(start=5, end=10, speaker="b")]
    heard = [Told(start=0, end=10, speaker="0")]
    assert diarization.errors(told, heard, 10).confusion == pytest.approx(0.5, abs=0.01)
