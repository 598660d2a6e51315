"""Speaker diarization in a second pass over the media, after its words are recognised, and speaker labels for words.

The pass mixes all channels and detects speech with a lower threshold than recognition, because speech that is missed here
gets no speaker.
"""

import math
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sottovoce.audio import activity, media, normalisation
from sottovoce.engines.protocols import DiarizationHints, Diarized, Diarizer, Speech, SpeechProbability, Voice
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import Item, Speaker, SpeakerLabel
from sottovoce.transcript.speakers import Spoken, assign, numbered

if TYPE_CHECKING:
    from sottovoce.audio.activity import Floats

POLICY = activity.ActivityPolicy(threshold=0.35, pad=3_200)
"""Speech detection for diarization: 200 ms of padding (docs/speakers.md)."""

ALIKE = 0.5
"""Least similarity of two prints of one speaker."""

MAX_PRINT = 8_192
"""Limit of a voice print (`Voice`) in bytes."""

VadFactory = Callable[[], SpeechProbability]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownVoice:
    """A speaker from the request: the label to show, and prints of the voice in the diarizer's form."""

    label: SpeakerLabel
    prints: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """*turns* with their labels, and the *speakers* of these labels; *named*: the labels that come from the request."""

    turns: tuple[Spoken, ...] = ()
    speakers: tuple[Speaker, ...] = ()
    named: frozenset[SpeakerLabel] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The media to diarize: track *track* of the file at *path*.

    *alive* is called for every second of it, so that the watchdog sees progress.
    """

    path: Path
    make_vad: VadFactory
    alive: Callable[[], None]
    track: int | None = None


def find(source: Source, request: TranscriptionRequest, known: Sequence[KnownVoice], diarizer: Diarizer) -> Found:
    """Diarize *source*. A voice that is similar to a *known* one gets its label; several voices may get the same label.

    Speakers have prints only if the request asks for them. Passes on the exceptions of *diarizer*; raises ValueError for
    a result that violates its protocol.
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
    """Return *items* with a speaker each, and the speakers that have a word, by first word; their numbers have no gaps."""
    line, labels = numbered(assign(items, found.turns, prefer_current=prefer_current), found.named)
    by_label = {speaker.label: speaker for speaker in found.speakers}
    return line, tuple(
        Speaker(label=new, pitch=by_label[old].pitch, prints=by_label[old].prints) for old, new in labels.items()
    )


def _speech(source: Source, request: TranscriptionRequest) -> Iterator[Speech]:
    """Yield all speech of the media; audio under the request's volume threshold is silenced (contract §7.4)."""
    blocks = _watched((block[0] for block in media.decode(source.path, split=False, track=source.track)), source.alive)
    if request.audio_filtering:
        blocks = activity.filter_quiet(blocks, request.audio_filtering.volume_threshold)
    return normalisation.raised(activity.segments(blocks, source.make_vad(), POLICY))


def _watched(blocks: "Iterable[Floats]", alive: Callable[[], None]) -> "Iterator[Floats]":
    for block in blocks:
        alive()
        yield block


def _check(heard: Diarized) -> None:
    if any(not 0 <= turn.voice < len(heard.voices) for turn in heard.turns):
        raise ValueError("the diarizer returned a turn with an unknown voice")
    if any(len(voice.voiceprint) > MAX_PRINT for voice in heard.voices):
        raise ValueError(f"the diarizer returned a voice print of more than {MAX_PRINT} bytes")


def _name(voice: Voice, known: Sequence[KnownVoice], diarizer: Diarizer) -> SpeakerLabel | None:
    """Return the label of the known voice most similar to *voice*, None if none reaches `ALIKE`; the first of equal ones."""
    best, label = 0.0, None
    for one in known:
        similarity = max((_likeness(voice.voiceprint, print_, diarizer) for print_ in one.prints), default=0.0)
        if similarity > best:
            best, label = similarity, one.label
    return label if best >= ALIKE else None


def _likeness(one: bytes, other: bytes, diarizer: Diarizer) -> float:
    try:
        return diarizer.similarity(one, other)
    except ValueError:  # one of them is not a print, for example of a voice too short for one
        return 0.0


def _speakers(heard: Diarized, labels: Sequence[SpeakerLabel], *, prints: bool) -> tuple[Speaker, ...]:
    """Return a speaker for each label, with the prints of its voices (longest first) and the pitch of the longest with one."""
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
    """Encode *prints* in URL-safe Base64, each once; skip the empty print of a voice that is too short for one."""
    return tuple(urlsafe_b64encode(each).decode() for each in dict.fromkeys(prints) if each)


def _pitch(heard: Diarized, voice: int) -> float | None:
    """Return the pitch of *voice* in Hz, None unless it is finite and positive."""
    pitch = heard.voices[voice].pitch
    return float(pitch) if pitch is not None and math.isfinite(pitch) and pitch > 0 else None
