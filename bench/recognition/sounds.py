"""Makes sounds without words and meaningless speech: a recogniser should write few words for them, or none.

Everything is made by numpy from a seed; babble, reversed speech and fragments are made of the manifest's clips.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.recognition import audio
from bench.recognition.audio import Floats
from sottovoce.transcript.model import RATE, Samples

SILENT = "no speech"
"""The group of items in which every word is invented."""

BABBLE, REVERSED, FRAGMENT = "babble", "reversed speech", "fragments of speech"
VOICES = 8
_SECONDS = 20
_SHORT_MS = (10, 20, 50, 100, 200, 500)
_NOISE_LEVELS = (-20, -40, -60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One recording, and the *group* whose words are summed."""

    name: str
    group: str
    audio: Floats


def items(clips: Mapping[str, Floats], seed: int) -> Iterator[Item]:
    """All items, made one after the other; each depends on *seed* and its own name only."""
    for name, make in _SOUNDS.items():
        yield Item(name=name, group=SILENT, audio=np.clip(make(_chance(seed, name)), -1, 1))
    yield from _short(seed)
    voices = list(clips.values())
    for number in range(1, 4):
        name = f"babble {number}"
        yield Item(name=name, group=BABBLE, audio=babble(voices, _chance(seed, name)))
    for name, clip in clips.items():
        yield Item(name=f"reversed {name}", group=REVERSED, audio=clip[::-1].copy())
    yield from _fragments(clips, seed)


def _chance(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])


def _time(seconds: float) -> Floats:
    return (np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


# ── noise ──


def coloured(chance: np.random.Generator, length: Samples, slope: float, decibels: float) -> Floats:
    """Noise whose power falls with the frequency to the power of *slope*: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(chance.standard_normal(length))
    frequency = np.fft.rfftfreq(length, 1 / RATE)
    frequency[0] = frequency[1]
    spectrum *= np.maximum(frequency, 20.0) ** (
        -slope / 2
    )  # floor of 20 Hz: lower frequencies would hold nearly all power
    return audio.at_level(np.fft.irfft(spectrum, length).astype(np.float32), decibels)


def _noise(slope: float, decibels: float) -> Callable[[np.random.Generator], Floats]:
    return lambda chance: coloured(chance, _SECONDS * RATE, slope, decibels)


def _silence(_: np.random.Generator) -> Floats:
    return np.zeros(30 * RATE, dtype=np.float32)


def _dither(chance: np.random.Generator) -> Floats:
    """Triangular noise of one step of 16 bits."""
    length = 30 * RATE
    return ((chance.random(length) - chance.random(length)) / 32_768).astype(np.float32)


def _breath(chance: np.random.Generator) -> Floats:
    """Noise in the band of breathing that swells and falls 15 times a minute."""
    noise = np.fft.rfft(chance.standard_normal(_SECONDS * RATE))
    frequency = np.fft.rfftfreq(_SECONDS * RATE, 1 / RATE)
    noise[(frequency < 300) | (frequency > 4_000)] = 0
    swell = np.maximum(np.sin(2 * np.pi * _time(_SECONDS) / 4), 0) ** 2
    return audio.at_level((np.fft.irfft(noise, _SECONDS * RATE) * swell).astype(np.float32), -35)


def _clicks(chance: np.random.Generator) -> Floats:
    """About three clicks a second, each of a millisecond."""
    made = np.zeros(_SECONDS * RATE, dtype=np.float32)
    for at in chance.integers(0, len(made) - 16, 3 * _SECONDS):
        made[at : at + 16] += chance.uniform(0.1, 0.8) * np.hanning(16).astype(np.float32)
    return np.clip(made, -1, 1).astype(np.float32)


# ── tones ──


def _hum(_: np.random.Generator) -> Floats:
    """The mains: 50 Hz and its harmonics."""
    at = _time(_SECONDS)
    made = sum(np.sin(2 * np.pi * 50 * n * at) / n for n in (1, 2, 3, 5, 7))
    return audio.at_level(np.asarray(made, dtype=np.float32), -30)


def _ring(_: np.random.Generator) -> Floats:
    """A telephone that rings: two tones, two seconds in six."""
    at = _time(24)
    tone = np.sin(2 * np.pi * 440 * at) + np.sin(2 * np.pi * 480 * at)
    return np.asarray(0.2 * tone * (at % 6 < 2), dtype=np.float32)


_CHORDS = ((220.0, 277.2, 329.6), (196.0, 246.9, 293.7), (174.6, 220.0, 261.6), (164.8, 207.7, 246.9))


def _chords(_: np.random.Generator) -> Floats:
    """A chord each second, plucked, with overtones."""
    at = _time(1)
    decay = np.exp(-2 * at)
    played = [
        sum(np.sin(2 * np.pi * note * n * at) / n**1.5 for note in chord for n in (1, 2, 3, 4)) * decay
        for chord in _CHORDS
    ]
    return audio.at_level(np.concatenate(played * (_SECONDS // len(_CHORDS))).astype(np.float32), -20)


def _drums(chance: np.random.Generator) -> Floats:
    """Kick and snare in turn, two a second, and a hi-hat between them."""
    at = _time(0.25)
    kick = np.sin(2 * np.pi * 60 * at * np.exp(-4 * at)) * np.exp(-18 * at)
    beats = []
    for number in range(4 * _SECONDS):
        noise = chance.standard_normal(len(at))
        beat = (kick, 0.2 * noise * np.exp(-60 * at), 0.6 * noise * np.exp(-25 * at), 0.2 * noise * np.exp(-60 * at))
        beats.append(beat[number % 4])
    return audio.at_level(np.concatenate(beats).astype(np.float32), -20)


def _music(chance: np.random.Generator) -> Floats:
    return (0.5 * _chords(chance) + 0.5 * _drums(chance)).astype(np.float32)


_SOUNDS: Mapping[str, Callable[[np.random.Generator], Floats]] = {
    "silence": _silence,
    "dither": _dither,
    **{
        f"{colour} noise {decibels} dBFS": _noise(slope, decibels)
        for slope, colour in enumerate(("white", "pink", "brown"))
        for decibels in _NOISE_LEVELS
    },
    "hum 50 Hz": _hum,
    "clicks": _clicks,
    "chords": _chords,
    "drums": _drums,
    "chords and drums": _music,
    "ring tone": _ring,
    "breath": _breath,
}


def _short(seed: int) -> Iterator[Item]:
    """Recordings shorter than any word: silence, noise, a tone."""
    for milliseconds in _SHORT_MS:
        length = milliseconds * RATE // 1_000
        tone = (0.2 * np.sin(2 * np.pi * 440 * np.arange(length) / RATE)).astype(np.float32)
        noise = _chance(seed, f"short {milliseconds}").standard_normal(length).astype(np.float32)
        made = {"silence": np.zeros(length, dtype=np.float32), "noise": audio.at_level(noise, -20), "tone": tone}
        for name, sound in made.items():
            yield Item(name=f"{name} {milliseconds} ms", group=SILENT, audio=sound)


# ── meaningless speech ──


def babble(voices: Sequence[Floats], chance: np.random.Generator, seconds: float = _SECONDS) -> Floats:
    """`VOICES` of *voices* at once, equally loud, each repeated from a random place."""
    length = round(seconds * RATE)
    chosen = chance.permutation(len(voices))[:VOICES]
    made = np.zeros(length, dtype=np.float32)
    for number in chosen:
        voice = audio.at_level(voices[number], -26)
        made += np.resize(np.roll(voice, int(chance.integers(len(voice)))), length)
    return np.clip(made, -1, 1).astype(np.float32)


def _fragments(clips: Mapping[str, Floats], seed: int) -> Iterator[Item]:
    """Pieces of clips, each a different one."""
    names = list(clips)
    order = _chance(seed, "fragments").permutation(len(names))
    for number, milliseconds in enumerate(_SHORT_MS):
        clip = clips[names[order[number % len(names)]]]
        length = milliseconds * RATE // 1_000
        start = max(0, len(clip) // 2 - length)
        yield Item(name=f"speech {milliseconds} ms", group=FRAGMENT, audio=clip[start : start + length])


def after_silence(clip: Floats, minutes: float, decibels: float | None, chance: np.random.Generator) -> Floats:
    """*clip* after *minutes* of zeros, or of noise of *decibels*."""
    length = round(minutes * 60 * RATE)
    before = np.zeros(length, dtype=np.float32)
    if decibels is not None:
        before = (chance.standard_normal(length) * audio.level(decibels)).astype(np.float32)
    return np.concatenate([before, clip])
