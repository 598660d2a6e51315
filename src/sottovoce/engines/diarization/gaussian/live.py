"""Live diarization with the features and the clustering of the batch diarizer.

The speech of the window, 60 s, is clustered again as it grows, and the clusters get the voices that most of their final words
have. A few seconds of each voice stay when they leave the window, so that memory and time are bounded.
In order: constants; `LiveGaussianDiarizers`; `LiveGaussianDiarizer`: input, labels, prints, clustering, names of enrolled
speakers, the window.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sottovoce.engines.diarization.gaussian import voiceprint
from sottovoce.engines.diarization.gaussian.assignment import assignment
from sottovoce.engines.diarization.gaussian.diarizer import (
    CAPABILITIES,
    Heard,
    Recording,
    VoiceModels,
    change_cost,
)
from sottovoce.engines.diarization.gaussian.features import FRAME
from sottovoce.engines.diarization.gaussian.live_speech import UNDECIDED, Exemplars, Stretch
from sottovoce.engines.protocols import Capabilities, DiarizationHints, LiveDiarizationHints
from sottovoce.transcript.model import UNKNOWN_SPEAKER, Samples, Speaker, SpeakerLabel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Floats = NDArray[np.float32]
    Halves = NDArray[np.float16]
    Labels = NDArray[np.intp]

# The unit of time is the frame of 10 ms.

_WINDOW = 6_000  # speech that is clustered: 60 s
_TRIM = 500  # speech that leaves the window at once: 5 s
_EXEMPLAR = 800  # speech of each voice that stays when it leaves the window: 8 s
_EXEMPLARS = 4_800  # the same, of all voices together: 48 s
_NEW = 50  # new speech after which the window is clustered again: 0.5 s
_GROWTH = 0.05  # the same, as a share of the speech that is clustered
_BACK = 300  # speech before the new one, with which it is labelled between two clusterings
_REACH = 50  # a word without speech gets the voice of the nearest frame within 0.5 s
_SAMPLED = 1_000  # frames of each cluster that enter its log likelihood ratio; more take longer than a live session has
_SHORTEST = 150  # least speech of a voice: 1.5 s; a longer one would be found when its words are final already
_ENROLLED = 200  # speech of a voice from which on it is compared with enrolled ones: 2 s
_ALIKE = 0.5  # least similarity of two prints of one speaker
_PRINTED = 50  # least speech of a print: 0.5 s
_MARGIN = 2  # with `prefer_current`, another voice needs more than this many times the frames of the current one
_MOST = 40  # voices of a session


@dataclass(slots=True, kw_only=True)
class _Voice:
    """One voice. *label*: its number, once a final word has it; *name*: of the enrolled speaker; *shown*: labels of its words."""

    label: SpeakerLabel | None = None
    name: SpeakerLabel | None = None
    shown: dict[SpeakerLabel, None] = field(default_factory=dict)
    exemplars: Exemplars = field(default_factory=Exemplars)
    printed: int = 0  # frames of the best print
    print: bytes = b""


class LiveGaussianDiarizers:
    """The `LiveDiarizers` of this engine, which needs no model."""

    @property
    def capabilities(self) -> Capabilities:
        """The same as in batch."""
        return CAPABILITIES

    def open(self, hints: LiveDiarizationHints) -> "LiveGaussianDiarizer":
        """Return the diarizer of one channel."""
        return LiveGaussianDiarizer(hints)


class LiveGaussianDiarizer:
    """A `LiveDiarizer`. Not thread-safe."""

    def __init__(self, hints: LiveDiarizationHints) -> None:
        self._hints = DiarizationHints(sensitivity=hints.sensitivity, prefer_current=hints.prefer_current)
        self._most = _MOST if hints.max_speakers is None else min(hints.max_speakers, _MOST)
        self._enrolled = [(label, known) for label, data in hints.known if (known := _unpacked(data)) is not None]
        self._window: list[Stretch] = []
        self._voices: list[_Voice] = []
        self._numbers = 0  # that are taken
        self._current: SpeakerLabel = UNKNOWN_SPEAKER
        self._models: VoiceModels | None = None
        self._of_cluster: list[int] = []  # the voice of each cluster of the last clustering
        self._clustered = 0  # frames that were clustered, exemplars included
        self._new = 0  # frames since then

    # ── input ──

    def push(self, audio: "Floats", start: Samples) -> None:
        """Add speech, float32[n] at 16 kHz, that begins at *start*; it continues the last stretch if that ends there."""
        if not self._window or self._window[-1].end != start:
            if self._window:
                before = len(self._window[-1])
                self._window[-1].close()
                self._new += len(self._window[-1]) - before
            self._window.append(Stretch(start))
        before = len(self._window[-1])
        self._window[-1].push(audio)
        self._new += len(self._window[-1]) - before

    # ── labels ──

    def labels(self, words: "Sequence[tuple[Samples, Samples]]", *, final: bool) -> tuple[SpeakerLabel, ...]:
        """Return the speaker of each of *words*, given by start and end. *final*: they have these labels for ever."""
        self._update()
        new: dict[int, SpeakerLabel] = {}  # of voices that no final word has yet
        current = self._current
        found: list[SpeakerLabel] = []
        for start, end in words:
            first = start // FRAME
            last = max(end // FRAME, first + 1)
            voice = self._voice_of(first, last, self._with_label(current, new))
            if voice is not None:
                held = self._voices[voice]
                current = held.name or held.label or new.setdefault(voice, f"S{self._numbers + len(new) + 1}")
                if final:
                    new.clear()
                    self._settle(voice, current, first, last)
            found.append(current)
        return tuple(found)

    def _settle(self, voice: int, label: SpeakerLabel, first: int, last: int) -> None:
        """The final word in the frames *first* … *last* has *label*, that of *voice*."""
        held = self._voices[voice]
        if label not in (held.name, held.label):
            self._numbers += 1
            held.label = label
        held.shown[label] = None
        self._current = label
        for stretch in self._window:
            stretch.settle(first, last, voice)

    def _with_label(self, label: SpeakerLabel, new: "dict[int, SpeakerLabel]") -> list[int]:
        return [at for at, voice in enumerate(self._voices) if label in (voice.name, voice.label, new.get(at))]

    def _voice_of(self, first: int, last: int, current: "Collection[int]") -> int | None:
        """Return the voice with most of the frames *first* … *last*; without any, that of the nearest frame.

        *current*: the voices of the speaker of the word before.
        """
        import numpy as np

        counts = np.zeros(len(self._voices), np.intp)
        nearest: list[tuple[int, int]] = []
        for stretch in reversed(self._window):
            if stretch.last < first - _REACH:
                break
            found = stretch.voices(first, last)
            counts += np.bincount(found[found != UNDECIDED], minlength=len(counts))
            if near := stretch.nearest(first, last):
                nearest.append(near)
        if not counts.any():
            away, voice = min(nearest, default=(_REACH + 1, UNDECIDED))
            return voice if away <= _REACH else None
        best = int(counts.argmax())
        if self._hints.prefer_current:
            held = max(current, key=lambda at: int(counts[at]), default=best)
            best = best if counts[best] > _MARGIN * counts[held] else held
        return best

    # ── prints ──

    def speakers(self) -> tuple[Speaker, ...]:
        """Return the speakers of the final words so far, by first word, with their prints."""
        found: dict[SpeakerLabel, dict[str, None]] = {}
        for number, voice in enumerate(self._voices):
            if not voice.shown:
                continue
            self._print(number)
            for label in voice.shown:
                prints = found.setdefault(label, {})
                if voice.print:
                    prints[urlsafe_b64encode(voice.print).decode()] = None
        return tuple(Speaker(label=label, prints=tuple(prints)) for label, prints in found.items())

    def _print(self, number: int) -> None:
        """Take a print of the voice *number* if there is more speech of it than for the last one."""
        voice = self._voices[number]
        parts = [(voice.exemplars.cepstra, voice.exemplars.pitch)] if len(voice.exemplars) else []
        parts += [
            (each.cepstra[mine], each.pitch[mine]) for each in self._window if (mine := each.given == number).any()
        ]
        count = sum(len(cepstra) for cepstra, _ in parts)
        if count >= _PRINTED and count > voice.printed:
            voice.printed, voice.print = count, _printed(parts).packed()

    # ── clustering ──

    def _update(self) -> None:
        """Bring the voices of the frames up to date."""
        if self._models is None and not self._of_cluster and self._new:
            self._cluster()
        elif self._new >= max(_NEW, _GROWTH * self._clustered):
            self._trim()
            self._cluster()
        elif self._new:
            self._extend()

    def _cluster(self) -> None:
        """Cluster the window and the exemplars, and give each frame of the window its voice."""
        kept = [number for number, voice in enumerate(self._voices) if len(voice.exemplars)]
        stretches = [each for each in self._window if len(each)]
        if not stretches:
            return
        heard = [
            *(_heard(self._voices[number].exemplars) for number in kept),
            *map(_heard, stretches),
        ]
        recording = Recording(heard, sampled=_SAMPLED, shortest=_SHORTEST)
        paths = recording.labels(self._hints)
        self._models = recording.models(paths)
        given = [(path, number) for path, number in zip(paths, kept, strict=False)]
        self._of_cluster = self._matched(paths, given, stretches)
        table = _array(self._of_cluster)
        for stretch, path in zip(stretches, paths[len(kept) :], strict=True):
            stretch.found = table[path]
        self._clustered, self._new = sum(len(each.cepstra) for each in heard), 0

    def _extend(self) -> None:
        """Label the newest frames by the voices of the last clustering."""
        import numpy as np

        if self._models is None:
            return
        table = _array(self._of_cluster)
        for stretch in reversed(self._window):
            undecided = int(np.count_nonzero(stretch.found == UNDECIDED))
            if len(stretch) and not undecided:
                break
            if undecided:
                first = max(len(stretch) - undecided - _BACK, 0)
                path = self._models.labels(stretch.cepstra[first:], change_cost(self._hints))
                stretch.found[-undecided:] = table[path[-undecided:]]

    def _matched(
        self, paths: "Sequence[Labels]", kept: "Sequence[tuple[Labels, int]]", stretches: "Sequence[Stretch]"
    ) -> list[int]:
        """Return the voice of each cluster: the one that most of its final frames have, each voice once, or a new one."""
        import numpy as np

        clusters = 1 + max(int(path.max()) for path in paths)
        shared = np.zeros((clusters, max(len(self._voices), 1)))
        for path, number in kept:
            shared[:, number] += np.bincount(path, minlength=clusters)
        for path, stretch in zip(paths[len(kept) :], stretches, strict=True):
            mine = stretch.given != UNDECIDED
            np.add.at(shared, (path[mine], stretch.given[mine]), 1)
        of_cluster = {cluster: voice for cluster, voice in assignment(shared) if shared[cluster, voice]}
        free = [number for number, voice in enumerate(self._voices) if not voice.shown]
        for number in free:
            self._voices[number] = _Voice()
        for cluster in range(clusters):
            speech = [
                (each.cepstra[path == cluster], each.pitch[path == cluster])
                for path, each in zip(paths[len(kept) :], stretches, strict=True)
            ]
            name = self._name(speech)
            if cluster not in of_cluster:
                of_cluster[cluster] = self._unknown(cluster, of_cluster, shared, free, name)
            voice = self._voices[of_cluster[cluster]]
            voice.name = voice.name or name
        return [of_cluster[cluster] for cluster in range(clusters)]

    def _unknown(
        self, cluster: int, of_cluster: "dict[int, int]", shared: "Array", free: list[int], name: SpeakerLabel | None
    ) -> int:
        """Return a new voice for *cluster*, or the one that is most like it if there are as many as there may be."""
        numbered = sum(voice.name is None for at, voice in enumerate(self._voices) if at not in free)
        if name is None and numbered >= self._most and of_cluster and self._models is not None:
            if shared[cluster].any():
                return int(shared[cluster].argmax())
            return of_cluster[self._models.nearest(cluster, list(of_cluster))]
        if free:
            return free.pop(0)
        self._voices.append(_Voice())
        return len(self._voices) - 1

    # ── names of enrolled speakers ──

    def _name(self, speech: "Iterable[tuple[Halves, Halves]]") -> SpeakerLabel | None:
        """Return the label of the enrolled speaker whose voice is most similar to *speech*; `None` if none is similar."""
        if not self._enrolled:
            return None
        parts = [each for each in speech if len(each[0])]
        if sum(len(cepstra) for cepstra, _ in parts) < _ENROLLED:
            return None
        made = _printed(parts)
        alike, label = max(
            ((voiceprint.similarity(made, known), label) for label, known in self._enrolled),
            key=lambda pair: pair[0],
        )
        return label if alike >= _ALIKE else None

    # ── the window ──

    def _trim(self) -> None:
        """Move the oldest speech out of the window; what words of a voice consist of becomes its exemplars."""
        over = sum(map(len, self._window)) - _WINDOW
        if over < _TRIM:
            return
        for gone in self._oldest(over):
            for number, voice in enumerate(self._voices):
                mine = gone.given == number
                if mine.any():
                    voice.exemplars.add(gone.cepstra[mine], gone.pitch[mine])
        held = [voice for voice in self._voices if len(voice.exemplars)]
        for number, voice in enumerate(self._voices):
            if len(voice.exemplars) > _EXEMPLAR:
                self._print(number)  # from more than stays
            voice.exemplars.keep(min(_EXEMPLAR, _EXEMPLARS // max(len(held), 1)))

    def _oldest(self, count: int) -> "Iterator[Stretch]":
        """Remove the oldest *count* frames of the window."""
        while count > 0 and self._window:
            if len(self._window[0]) <= count and len(self._window) > 1:
                gone = self._window.pop(0)
            else:
                gone = self._window[0].cut(min(count, len(self._window[0])))
            count -= max(len(gone), 1)
            yield gone


def _heard(speech: "Stretch | Exemplars") -> Heard:
    return Heard(start=0, end=0, cepstra=speech.cepstra, pitch=speech.pitch)


def _array(numbers: "Sequence[int]") -> "Labels":
    import numpy as np

    return np.array(numbers, np.intp)


def _printed(parts: "Sequence[tuple[Halves, Halves]]") -> voiceprint.VoicePrint:
    import numpy as np

    return voiceprint.printed([cepstra for cepstra, _ in parts], np.concatenate([pitch for _, pitch in parts]))


def _unpacked(data: bytes) -> voiceprint.VoicePrint | None:
    try:
        return voiceprint.unpacked(data)
    except ValueError:  # for example of a voice too short for a print
        return None
