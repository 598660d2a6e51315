"""Voice activity detection: a stream of samples is cut into utterances; volumes per 10 ms.

All parts are streams: memory is bounded by the longest utterance, except for the 4 bytes per chunk of `VolumeTrack`.
In order: `Span` and `Speech`; `ActivityPolicy`; `Endpointer`, probabilities to spans; `Segmenter`, samples to utterances;
volumes.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

CHUNK: Samples = RATE // 100
"""Samples of a volume chunk: 0.01 s (contract `batch-v2.md` §7.4)."""
_FORGET = 6_000  # chunks (a minute) that are dropped together


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the media, end exclusive.

    *voiced*: the runs of speech inside it, in order, without padding; empty where they are unknown.
    """

    start: Samples
    end: Samples
    voiced: tuple["Span", ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """A stretch of speech: *audio* is float32[n] in -1..1 at 16 kHz, *start* the media time of its first sample.

    *voiced*: the runs of speech inside it, in media times; empty where they are unknown.
    """

    start: Samples
    audio: "Floats"
    voiced: tuple[Span, ...] = ()

    @property
    def end(self) -> Samples:
        """The media time after the last sample."""
        return self.start + len(self.audio)


class SpeechProbability(Protocol):
    """A stateful speech detector: the probability of speech in each frame. One instance per audio stream."""

    frame: Samples
    """Length of a frame in samples."""

    def __call__(self, audio: "Floats") -> "Floats":
        """Return probabilities float32[k] of the k frames in *audio* (float32[k * frame]); the state carries over."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityPolicy:
    """When speech begins and ends; lengths in samples. The defaults suit a recogniser (research `engines.md` §6).

    A frame with a probability of *threshold* or more begins speech; *min_silence* without such a frame, from the first
    frame under *threshold* - *hysteresis* on, ends it. Speech shorter than *min_speech* is dropped; other speech is padded
    by *pad* on both sides, as far as there is audio outside other spans. A span that would exceed *max_speech* is cut at
    the least speech-like moment of its last quarter, in the middle of a pause if there is one. A pause of *inner_pause*
    separates two runs of speech in one span.
    Errors: ValueError for a *max_speech* too short for its padding, or negative lengths.
    """

    threshold: float = 0.5
    hysteresis: float = 0.15
    min_speech: Samples = 1_600  # 100 ms
    min_silence: Samples = 4_800  # 300 ms
    pad: Samples = 2_400  # 150 ms
    max_speech: Samples = 320_000  # 20 s
    inner_pause: Samples = 4_800  # 300 ms

    def __post_init__(self) -> None:
        if min(self.min_speech, self.min_silence, self.pad) < 0 or self.max_speech < 4 * self.pad + RATE // 2:
            raise ValueError("an activity policy needs lengths >= 0, and a max_speech of at least 4 pads plus 0.5 s")


class Endpointer:
    """A state machine from the speech probabilities of consecutive frames to spans.

    Spans are in order and do not overlap; each is returned as early as the policy allows. *start* is the media time of
    the first frame.
    """

    def __init__(self, policy: ActivityPolicy, frame: Samples, *, start: Samples = 0) -> None:
        self._policy = policy
        self._frame = frame
        self._now = start  # end of the last frame pushed
        self._free = start  # end of the last span: the earliest start of the next one
        self._begin: Samples | None = None  # padded start of the current speech; None in silence
        self._voiced = start  # its start without padding
        self._least: Samples = policy.min_speech  # shorter speech is dropped
        self._silent: Samples | None = None  # start of the silence at its end
        self._runs: list[Span] = []  # completed runs of the current speech
        self._run: Samples | None = None  # start of the current run; None in a pause
        self._probabilities: list[float] = []  # of the frames since _voiced

    @property
    def keep(self) -> Samples:
        """The earliest media time that a later span can include."""
        return max(self._free, self._now - self._policy.pad) if self._begin is None else self._begin

    @property
    def speaking(self) -> bool:
        """True while a span has begun and not ended."""
        return self._begin is not None

    def push(self, probability: float) -> Span | None:
        """Process the next frame; return the span that it ends, or None."""
        at = self._now
        self._now += self._frame
        if self._begin is None:
            if probability >= self._policy.threshold:
                self._enter(at)
                self._probabilities.append(probability)
            return None
        self._probabilities.append(probability)
        if probability >= self._policy.threshold:
            self._silent = None
            self._run = at if self._run is None else self._run
        elif probability < self._policy.threshold - self._policy.hysteresis and self._silent is None:
            self._silent = at
        if self._silent is not None and self._now - self._silent >= self._policy.inner_pause:
            self._end_run(self._silent)
        if self._silent is not None and self._now - self._silent >= self._policy.min_silence:
            return self._leave(self._silent, self._now)
        if self._now + self._frame + self._policy.pad - self._begin > self._policy.max_speech:
            return self._cut()
        return None

    def finish(self, end: Samples) -> Span | None:
        """End the stream at *end* (the last frame may be padded beyond it); return the current span, or None."""
        if self._begin is None:
            return None
        return self._leave(end if self._silent is None else min(self._silent, end), end)

    def _enter(self, at: Samples) -> None:
        self._begin = max(self._free, at - self._policy.pad)
        self._voiced = self._run = at
        self._runs = []
        self._least = self._policy.min_speech
        self._silent = None
        self._probabilities = []

    def _end_run(self, end: Samples) -> None:
        if self._run is not None and end > self._run:
            self._runs.append(Span(start=self._run, end=end))
        self._run = None

    def _leave(self, end: Samples, heard: Samples) -> Span | None:
        """End the current speech at *end*, padded up to *heard* at most; None if it is too short."""
        self._end_run(end)
        begin, self._begin = self._begin, None
        if begin is None or end - self._voiced < self._least:
            return None
        self._free = min(end + self._policy.pad, heard)
        return Span(start=begin, end=self._free, voiced=tuple(self._runs))

    def _cut(self) -> Span | None:
        """End the current speech at its least speech-like moment, and continue from there without padding.

        The moment has the lowest probability summed over half an *inner_pause* on both sides: the middle of a pause, if any.
        """
        held = self._probabilities
        near = max(self._policy.inner_pause // self._frame // 2, 1)
        first = len(held) - max(len(held) // 4, 1)
        doubts = [1.0 - probability for probability in held]
        best = max(range(first, len(held)), key=lambda k: (_around(doubts, k, near), doubts[k], k))
        begin, at = self._begin, self._voiced + best * self._frame
        silent, rest, run = self._silent, held[best:], self._run
        before, after = _divided([*self._runs, *([Span(start=run, end=self._now)] if run is not None else [])], at)
        self._free = at
        self._enter(at)
        self._least = 1  # the rest of the utterance may be part of a word: never drop it
        self._probabilities = rest
        self._silent = None if silent is None else max(silent, at)
        # the current run, if any, continues after the cut
        self._runs, self._run = after, None
        if run is not None and after:
            self._run = after.pop().start
        return Span(start=at if begin is None else begin, end=at, voiced=tuple(before))


def _around(values: list[float], at: int, near: int) -> float:
    """Sum *values* at most *near* indices from *at*; indices beyond the ends count as the value at *at*."""
    found = values[max(at - near, 0) : at + near + 1]
    return sum(found) + (2 * near + 1 - len(found)) * values[at]


def _divided(runs: list[Span], at: Samples) -> tuple[list[Span], list[Span]]:
    """Split *runs* at *at*; a run across it is divided."""
    before = [Span(start=run.start, end=min(run.end, at)) for run in runs if run.start < at]
    after = [Span(start=max(run.start, at), end=run.end) for run in runs if run.end > at]
    return before, after


def segments(
    blocks: "Iterable[Floats]", make_vad: SpeechProbability, policy: ActivityPolicy, *, start: Samples = 0
) -> Iterator[Speech]:
    """Yield the utterances in *blocks* (float32[n] of any lengths, one stream whose media time begins at *start*).

    Holds at most one block, one utterance and its padding.
    """
    segmenter = Segmenter(make_vad, policy, start=start)
    for block in blocks:
        yield from segmenter.push(block)
    yield from segmenter.finish()


class Segmenter:
    """As `segments`, for a caller that pushes the samples."""

    def __init__(self, make_vad: SpeechProbability, policy: ActivityPolicy, *, start: Samples = 0) -> None:
        self._make_vad = make_vad
        self._endpointer = Endpointer(policy, make_vad.frame, start=start)
        self._held: list[Floats] = []  # samples from _start on
        self._start = self._end = start
        self._judged = start

    @property
    def speaking(self) -> bool:
        """True while an utterance has begun and not ended."""
        return self._endpointer.speaking

    def push(self, block: "Floats") -> list[Speech]:
        """Process *block* (float32[n], n >= 0); return the utterances that it ends."""
        self._held.append(block)
        self._end += len(block)
        whole = (self._end - self._judged) // self._make_vad.frame * self._make_vad.frame
        if not whole:
            return []
        audio = self._joined()
        at = self._judged - self._start
        found = self._judged_spans(audio[at : at + whole])
        self._judged += whole
        return self._taken(found)

    def finish(self) -> list[Speech]:
        """Process the last partial frame; return the utterances that it and the end of the stream end."""
        import numpy as np

        found: list[Span] = []
        if rest := self._end - self._judged:
            audio = self._joined()[self._judged - self._start :]
            found = self._judged_spans(np.pad(audio, (0, self._make_vad.frame - rest)))
            self._judged = self._end
        last = self._endpointer.finish(self._end)
        return self._taken([*found, *([last] if last else [])])

    def _joined(self) -> "Floats":
        import numpy as np

        self._held = [np.concatenate(self._held)] if len(self._held) > 1 else self._held
        return self._held[0]

    def _judged_spans(self, frames: "Floats") -> list[Span]:
        spans = (self._endpointer.push(p) for p in self._make_vad(frames).tolist())
        return [span for span in spans if span]

    def _taken(self, spans: list[Span]) -> list[Speech]:
        """Return the speech of *spans*; drop the samples that no later span can include."""
        audio = self._joined() if self._held else None
        if audio is None:
            return []
        base = self._start
        found = [
            Speech(
                start=span.start,
                audio=audio[span.start - base : min(span.end, self._end) - base].copy(),
                voiced=span.voiced,
            )
            for span in spans
        ]
        self._start = min(max(self._endpointer.keep, base), self._judged)
        self._held = [audio[self._start - base :].copy()]
        return found


def volumes(audio: "Floats") -> "Floats":
    """Return the RMS of each whole chunk of float32[n], float32[n // 160]: 0 = silence, 100 = a full-scale square wave (§7.4)."""
    import numpy as np

    whole = audio[: len(audio) - len(audio) % CHUNK].reshape(-1, CHUNK)
    rms: Floats = np.sqrt(np.mean(np.square(whole, dtype=np.float64), axis=1)).astype(np.float32)
    return np.clip(rms * 100, 0, 100)


def filter_quiet(blocks: "Iterable[Floats]", threshold: float) -> "Iterator[Floats]":
    """Yield the same samples with chunks quieter than *threshold* (0..100) set to 0 (contract `batch-v2.md` §7.4).

    Chunks are counted from the first sample on, independent of the lengths of *blocks* (float32[n]); all blocks that are
    yielded end at a chunk border except the last. A partial chunk at the end is measured over its own samples.
    """
    quiet = QuietFilter(threshold)
    for block in blocks:
        if len(audio := quiet.push(block)):
            yield audio
    if len(rest := quiet.flush()):
        yield rest


class QuietFilter:
    """Sets the chunks of one stream that are quieter than *threshold* (0..100) to 0; *threshold* may change at any time."""

    def __init__(self, threshold: float) -> None:
        import numpy as np

        self.threshold = threshold
        self._rest: Floats = np.zeros(0, np.float32)

    def push(self, audio: "Floats") -> "Floats":
        """Return the whole chunks so far, float32[m], with float32[n] of new audio; the rest waits for the next call."""
        import numpy as np

        audio = np.concatenate([self._rest, audio])
        whole = len(audio) - len(audio) % CHUNK
        self._rest = audio[whole:].copy()
        audio = audio[:whole].copy()
        if whole:
            audio.reshape(-1, CHUNK)[volumes(audio) < self.threshold] = 0
        return audio

    def flush(self) -> "Floats":
        """Return the incomplete chunk at the end, measured over its own samples."""
        import numpy as np

        rest, self._rest = self._rest, self._rest[:0]
        if not len(rest) or np.sqrt(np.mean(np.square(rest, dtype=np.float64))) * 100 >= self.threshold:
            return rest
        return np.zeros_like(rest)


class VolumeTrack:
    """The volume of every chunk of one stream, 4 bytes each; *start* is the media time of the first sample."""

    def __init__(self, *, start: Samples = 0) -> None:
        self._start = start
        self._volumes = array("f")
        self._rest: Floats | None = None

    def push(self, audio: "Floats") -> None:
        """Add float32[n]; samples of an incomplete chunk wait for the next call."""
        import numpy as np

        audio = audio if self._rest is None else np.concatenate([self._rest, audio])
        self._volumes.frombytes(volumes(audio).tobytes())
        self._rest = audio[len(audio) - len(audio) % CHUNK :].copy()

    def through(self, blocks: "Iterable[Floats]") -> "Iterator[Floats]":
        """Yield *blocks* unchanged, pushing each."""
        for block in blocks:
            self.push(block)
            yield block

    def forget(self, before: Samples) -> None:
        """Drop the volumes before *before*, some time after which no word begins any more."""
        chunks = min((before - self._start) // CHUNK, len(self._volumes))
        if chunks >= _FORGET:
            del self._volumes[:chunks]
            self._start += chunks * CHUNK

    def volume(self, start: Samples, end: Samples) -> float:
        """Return the volume of a word, 0..100: the mean of its chunks, each weighted with its own volume.

        The weights reduce the effect of silence within a word, which contract `batch-v2.md` §7.4 requires without giving a
        formula. 0.0 for silence and for times without audio.
        """
        first = max((start - self._start) // CHUNK, 0)
        last = max(-(-(end - self._start) // CHUNK), first + 1)
        heard = self._volumes[first:last]
        total = sum(heard)
        return sum(v * v for v in heard) / total if total else 0.0
