"""Speech of which every word is known, put together to long recordings; and what an engine hears in samples."""

import random
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import scoring
from bench.conversations import SENTENCES, read_rttm
from bench.manifest import Row
from sottovoce.audio import activity, media
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.protocols import Hints, LiveRecognizer
from sottovoce.engines.whisper.engine import Whisper
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.session import LiveSession
from sottovoce.request import AudioFormat, AudioType, Encoding, LiveRequest, VocabEntry
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import PACKS
from sottovoce.transcript.model import RATE, Attaches, Item, Mark

Sound = NDArray[np.float32]

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "audio"
DEMO = ROOT / "samples" / "demo.wav"

_RAW = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_F32LE, sample_rate=RATE)
_PIECE = RATE // 10
CONVERSATIONS = {"conversation_2": 0, "conversation_3": 5, "conversation_4": 1}
"""Recordings of `SENTENCES`, one after the other from the one with this number on (as the heads of their .rttm files say)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """*audio* in which *text* is said."""

    audio: Sound
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was heard: the text with its marks, and what the job's log says about it."""

    text: str
    notes: tuple[str, ...]

    def tokens(self, language: str = "en") -> list[str]:
        """The words that count."""
        return scoring.tokens(self.text, language)


def load(path: Path) -> Sound:
    """All of *path*, mono."""
    return np.concatenate([block[0] for block in media.decode(path)])


def write(path: Path, audio: Sound) -> Path:
    """*audio* as a WAV file; *path*."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((np.clip(audio, -1, 1) * 32_767).round().astype("<i2").tobytes())
    return path


def written(items: Sequence[Item]) -> str:
    """*items* as text with marks."""
    text = ""
    for item in items:
        attached = isinstance(item, Mark) and item.attaches in (Attaches.PREVIOUS, Attaches.BOTH)
        text += item.text if attached or not text else f" {item.text}"
    return text


def converse(live: LiveRecognizer, audio: Sound, forced: Sequence[float] = (), **options: Any) -> list[events.Event]:
    """The events of a session with *live* in which *audio* is said.

    The client forces an end at each of *forced*, in seconds. *options*: members of the `LiveRequest`.
    """
    told: list[events.Event] = []
    request = LiveRequest(language="en", audio=_RAW, enable_partials=True, **options)
    session = LiveSession(request, live, SileroVad, told.append, lambda: 0.0)
    ends = [round(at * RATE) for at in forced]
    for at in range(0, len(audio), _PIECE):
        session.audio(0, audio[at : at + _PIECE].astype("<f4").tobytes())
        while ends and ends[0] <= at + _PIECE:
            session.force_end(0, ends.pop(0))
        while session.work():
            pass
    session.end(None)
    while session.work():
        pass
    return told


def final_text(told: Sequence[events.Event]) -> str:
    """The text of the finals of a session."""
    return join([item for event in told if isinstance(event, events.Final) for item in event.items], PACKS["en"])


def heard(engine: Whisper, audio: Sound, language: str = "en", vocab: Sequence[VocabEntry] = ()) -> Said:
    """What *engine* hears in *audio*, by itself: no formatting, no other stages."""
    speech = activity.segments([audio], SileroVad(), engine.activity)
    found = list(engine.recognize(speech, Hints(language=language, vocab=tuple(vocab))))
    items = [item for each in found for item in each.items]
    return Said(text=written(items), notes=tuple(note for each in found for note in each.notes))


def spoken(row: Row) -> str:
    """What is said in *row*."""
    return (" " if PACKS[row.language].delimiter else "").join(row.reference)


def errors(reference: str, found: Said, language: str = "en") -> int:
    """Words of *found* that would have to be mended to make it *reference*."""
    return scoring.compare(scoring.tokens(reference, language), found.tokens(language) or ["-"]).tally.errors


def own_clips() -> list[Clip]:
    """Sentences that come with the repository, five voices."""
    clips = [Clip(audio=load(FIXTURES / "speech.flac"), text="Nothing that you say will leave this room.")]
    for name, number in CONVERSATIONS.items():
        audio = load(FIXTURES / f"{name}.flac")
        for turn in read_rttm(FIXTURES / f"{name}.rttm"):
            cut = audio[round(turn.start * RATE) : round(turn.end * RATE)]
            clips.append(Clip(audio=cut, text=SENTENCES[number % len(SENTENCES)]))
            number += 1  # noqa: PLW2901 - the next sentence of this conversation
    return clips


def chained(clips: Sequence[Clip], seconds: float, *, pause: float, seed: int) -> tuple[Sound, list[Clip]]:
    """*clips* in an order of chance for *seconds* at least, with pauses of 0 to *pause* s of faint noise; and their order."""
    chance = random.Random(seed)
    noise = np.random.default_rng(seed)
    order: list[Clip] = []
    parts: list[Sound] = []
    length = 0
    while length < seconds * RATE:
        for clip in chance.sample(clips, len(clips)):
            silence = noise.normal(0, 0.0003, round(chance.uniform(0, pause) * RATE)).astype(np.float32)
            parts += [clip.audio, silence]
            order.append(clip)
            length += len(clip.audio) + len(silence)
            if length >= seconds * RATE:
                break
    return np.concatenate(parts), order


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of each clip of a long recording the share of its words that were found, in order; and the words of all that were not."""

    shares: tuple[float, ...]
    deletions: int
    insertions: int
    errors: int
    words: int


def compared(order: Sequence[Clip], found: Said) -> Found:
    """How much of the clips in *order* is in *found*."""
    owners, reference = [], []
    for number, clip in enumerate(order):
        for token in scoring.tokens(clip.text, "en"):
            owners.append(number)
            reference.append(token)
    comparison = scoring.compare(reference, found.tokens() or ["-"])
    hits = [0] * len(order)
    for place, _ in comparison.matched:
        hits[owners[place]] += 1
    tally = comparison.tally
    return Found(
        shares=tuple(hits[number] / owners.count(number) for number in range(len(order))),
        deletions=tally.deletions,
        insertions=tally.insertions,
        errors=tally.errors,
        words=len(reference),
    )
