"""Who speaks when, and who says which word: a second pass over the media, after its words are known.

The pass hears all channels mixed, with a more generous idea of speech than a recogniser's: a voice that is left out cannot
be told apart later.
"""

import math
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.audio import activity, media
from sottovoce.engines.protocols import DiarizationHints, Diarized, Diarizer, Speech, SpeechProbability, Voice
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import Item, Speaker, SpeakerLabel
from sottovoce.transcript.speakers import Spoken, assign, numbered

if TYPE_CHECKING:
    from sottovoce.audio.activity import Floats

POLICY = activity.ActivityPolicy(threshold=0.35, pad=3_200)

ALIKE = 0.5
"""Prints at least so alike are taken for one speaker's."""

MAX_PRINT = 8_192
"""Bytes of a voice print (`Voice`)."""

VadFactory = Callable[[], SpeechProbability]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownVoice:
    """A speaker known beforehand: the label to show, and prints of the voice in the diarizer's own form."""

    label: SpeakerLabel
    prints: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Who speaks when, and the *speakers* whose labels the *turns* have; those *named* were known beforehand."""

    turns: tuple[Spoken, ...] = ()
    speakers: tuple[Speaker, ...] = ()
    named: frozenset[SpeakerLabel] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What to listen to. *alive* is called for every second of it: whoever watches us shall see that we are at work."""

    path: Path
    make_vad: VadFactory
    alive: Callable[[], None]


def find(source: Source, request: TranscriptionRequest, known: Sequence[KnownVoice], diarizer: Diarizer) -> Found:
    """Who speaks when in *source*. Voices like a *known* one have its label; several may be one speaker's.

    Speakers have prints only if the request asks for them. Raises what *diarizer* raises, ValueError for what its protocol
    does not allow.
    """
    wanted = request.speaker_diarization
    hints = DiarizationHints(sensitivity=wanted.speaker_sensitivity, prefer_current=wanted.prefer_current_speaker)
    heard = diarizer.diarize(lambda: _speech(source, request), hints)
    _check(heard)
    names = [_name(voice, known, diarizer) for voice in heard.voices]
    labels = [name or f"S{number}" for number, name in enumerate(names, 1)]
    return Found(
        turns=tuple(Spoken(start=turn.start, end=turn.end, label=labels[turn.voice]) for turn in heard.turns),
        speakers=_speakers(heard, labels, prints=wanted.get_speakers),
        named=frozenset(name for name in names if name),
    )


def label(items: Iterable[Item], found: Found, *, prefer_current: bool) -> tuple[tuple[Item, ...], tuple[Speaker, ...]]:
    """*items* with a speaker each, and the speakers that have a word, by first word; their numbers have no gaps."""
    line, labels = numbered(assign(items, found.turns, prefer_current=prefer_current), found.named)
    by_label = {speaker.label: speaker for speaker in found.speakers}
    return line, tuple(
        Speaker(label=new, pitch=by_label[old].pitch, prints=by_label[old].prints) for old, new in labels.items()
    )


def _speech(source: Source, request: TranscriptionRequest) -> Iterator[Speech]:
    """All speech of the media; what the request wants silenced is silent here too (contract §7.4)."""
    blocks = _watched((block[0] for block in media.decode(source.path, split=False)), source.alive)
    if request.audio_filtering:
        blocks = activity.filter_quiet(blocks, request.audio_filtering.volume_threshold)
    return activity.segments(blocks, source.make_vad(), POLICY)


def _watched(blocks: "Iterable[Floats]", alive: Callable[[], None]) -> "Iterator[Floats]":
    for block in blocks:
        alive()
        yield block


def _check(heard: Diarized) -> None:
    if any(not 0 <= turn.voice < len(heard.voices) for turn in heard.turns):
        raise ValueError("a turn of a voice that there is not")
    if any(len(voice.voiceprint) > MAX_PRINT for voice in heard.voices):
        raise ValueError("a voice print that is too large")


def _name(voice: Voice, known: Sequence[KnownVoice], diarizer: Diarizer) -> SpeakerLabel | None:
    """The label of the known voice that is most like *voice*, if any is like it; of equal ones the first."""
    best, label = 0.0, None
    for one in known:
        similarity = max((_likeness(voice.voiceprint, print_, diarizer) for print_ in one.prints), default=0.0)
        if similarity > best:
            best, label = similarity, one.label
    return label if best >= ALIKE else None


def _likeness(one: bytes, other: bytes, diarizer: Diarizer) -> float:
    try:
        return diarizer.similarity(one, other)
    except ValueError:  # one of them is no print, such as that of a voice too short for one
        return 0.0


def _speakers(heard: Diarized, labels: Sequence[SpeakerLabel], *, prints: bool) -> tuple[Speaker, ...]:
    """A speaker for each label: all prints of its voices, the pitch of the one heard longest that has one."""
    time: Counter[int] = Counter()
    for turn in heard.turns:
        time[turn.voice] += turn.end - turn.start
    by_time = sorted(range(len(labels)), key=lambda voice: -time[voice])
    return tuple(
        Speaker(
            label=label,
            pitch=next(
                (pitch for voice in by_time if labels[voice] == label and (pitch := _pitch(heard, voice))), None
            ),
            prints=_texts(heard.voices[voice].voiceprint for voice in by_time if prints and labels[voice] == label),
        )
        for label in dict.fromkeys(labels)
    )


def _texts(prints: Iterable[bytes]) -> tuple[str, ...]:
    """Each of *prints* once; a voice that is too short for one has an empty one."""
    return tuple(urlsafe_b64encode(each).decode() for each in dict.fromkeys(prints) if each)


def _pitch(heard: Diarized, voice: int) -> float | None:
    pitch = heard.voices[voice].pitch
    return float(pitch) if pitch is not None and math.isfinite(pitch) and pitch > 0 else None
