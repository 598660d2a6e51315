"""Recordings with known speaker turns: those of the shared folder, and some that flite synthesises."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.manifest import Wrong
from sottovoce.audio.media import decode
from sottovoce.transcript.model import RATE

SHARED = Path(__file__).resolve().parents[2] / "shared"
FIXTURES = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "audio"

Sound = NDArray[np.float32]

_WORDS_ONLY = ("speechmatics/audio_01_16kHz.rttm",)  # its turns are single words: only their speakers can be scored

SENTENCES = (
    "The committee met on Tuesday to talk about the new bridge across the river.",
    "I do not think that we can afford another year of waiting for it.",
    "Perhaps somebody should ask the people who live on the other side.",
    "We did ask them, and most of them would rather keep the ferry.",
    "Then let us write down both opinions and decide after the summer.",
    "The harbour office sent three letters and nobody has answered any of them.",
    "My sister works there, and she says the boats are older than she is.",
    "All right, who will write the report this time, and when can we read it?",
    "Bring the maps with you, please, and a little more patience than last time.",
    "It was raining so hard that the road had vanished under brown water.",
)
"""The sentences of synthesised talks."""

CASTS: tuple[tuple[str, ...], ...] = (
    ("slt",),
    ("rms",),
    ("slt", "rms"),
    ("rms", "awb"),
    ("slt", "rms", "awb"),
    ("rms", "awb", "kal16"),
    ("slt", "rms", "awb", "kal16"),
)
"""The voices of flite in each synthesised talk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A turn of *speaker* from *start* to *end*, in seconds."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """*audio* float32[n] at 16 kHz with its turns. *words_only*: the turns are single words, not all of the speech."""

    source: str
    name: str
    audio: Sound
    told: tuple[Told, ...]
    words_only: bool = False

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return len(self.audio) / RATE


def read_rttm(path: Path) -> tuple[Told, ...]:
    """The turns of a file in NIST's RTTM format. Raises `Wrong` for a malformed line."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            start, length, speaker = float(fields[3]), float(fields[4]), fields[7]
        except (IndexError, ValueError) as error:
            raise Wrong(f"{path.name}: no turn: {line}") from error
        found.append(Told(start=start, end=start + length, speaker=speaker))
    return tuple(found)


def shared(folder: Path) -> Iterator[Conversation]:
    """Every recording under *folder*/audio with a file of turns beside it."""
    audio = folder / "audio"
    for turns in sorted(audio.glob("*/*.rttm")):
        sounds = [path for end in (".flac", ".wav") if (path := turns.with_suffix(end)).is_file()]
        if sounds:
            name = turns.relative_to(audio).as_posix()
            yield Conversation(
                source=turns.parent.name,
                name=turns.stem,
                audio=heard(sounds[0]),
                told=read_rttm(turns),
                words_only=name in _WORDS_ONLY,
            )


def fixtures() -> Iterator[Conversation]:
    """The conversations that come with the tests."""
    for turns in sorted(FIXTURES.glob("conversation_*.rttm")):
        yield Conversation(
            source="fixtures", name=turns.stem, audio=heard(turns.with_suffix(".flac")), told=read_rttm(turns)
        )


def heard(path: Path) -> Sound:
    """All of a file as one channel, float32[n]."""
    return np.concatenate([block[0] for block in decode(path)])


# ── flite ──


def can_speak() -> bool:
    """True if flite is installed."""
    return shutil.which("flite") is not None


def spoken(voice: str, sentence: str, folder: Path) -> Sound:
    """*sentence* in one of flite's voices, float32[n]."""
    path = folder / "said.wav"
    subprocess.run(["flite", "-voice", voice, "-t", sentence, "-o", str(path)], check=True, capture_output=True)
    return heard(path)


def talk(cast: Sequence[str], turns: int, seed: int = 0) -> Conversation:
    """*turns* sentences said in turn by the voices of *cast*, with pauses between them. Needs flite."""
    chance = np.random.default_rng(seed)
    sounds: list[Sound] = []
    told: list[Told] = []
    at = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(turns):
            voice = cast[number % len(cast)]
            sound = spoken(voice, SENTENCES[(number + seed) % len(SENTENCES)], Path(folder))
            told.append(Told(start=at / RATE, end=(at + len(sound)) / RATE, speaker=voice))
            pause = np.zeros(int(RATE * chance.uniform(0.2, 0.8)), np.float32)
            sounds += [sound, pause]
            at += len(sound) + len(pause)
    return Conversation(source="flite", name="-".join(cast), audio=np.concatenate(sounds), told=tuple(told))


def talks() -> Iterator[Conversation]:
    """One talk of each cast. Needs flite."""
    for seed, cast in enumerate(CASTS):
        yield talk(cast, 4 * len(cast) if len(cast) > 1 else 6, seed)
