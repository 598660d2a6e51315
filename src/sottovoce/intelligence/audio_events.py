"""Audio events of the media and their sums, with those of speech and silence (contract §7.9)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from sottovoce.audio import media
from sottovoce.intelligence.protocols import Scene, Stage
from sottovoce.transcript.model import RATE, ChannelLabel, Mark, Samples, seconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

TYPES = ("applause", "laughter", "music")
"""The contract's types."""
GAP: Samples = RATE
"""Events of one type that are less than 1 s apart are one; a silence is at least as long."""

Span = tuple[Samples, Samples]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEvent:
    """An event of the type *type*; *confidence* 0..1."""

    type: str
    start: Samples
    end: Samples
    confidence: float
    channel: ChannelLabel | None = None


class AudioTagger(Protocol):
    """Audio to events."""

    types: frozenset[str]
    """The types that it can find."""

    @property
    def languages(self) -> frozenset[str]:
        """Empty: it does not depend on the language."""
        ...

    def tag(self, blocks: "Iterable[Floats]") -> Iterator[AudioEvent]:
        """Yield the events in one channel by rising start; *blocks*: its audio in blocks of 1 s, float32[n] at 16 kHz."""
        ...


def _run(scene: Scene, tagger: AudioTagger) -> object:
    wanted = frozenset(scene.request.audio_events or TYPES) & tagger.types
    labels: Sequence[ChannelLabel | None] = scene.transcript.channels or (None,)
    found = [event for index, label in enumerate(labels) for event in _heard(scene, tagger, wanted, index, label)]
    found.sort(key=lambda event: (event.start, event.end))
    summary: dict[str, Any] = {"overall": _sums(scene, wanted, found, labels)}
    if scene.transcript.channels:
        summary["channels"] = {
            str(label): _sums(scene, wanted, [event for event in found if event.channel == label], [label])
            for label in labels
        }
    return {"events": [_shown(event) for event in found], "summary": summary}


def _heard(
    scene: Scene, tagger: AudioTagger, wanted: frozenset[str], index: int, label: ChannelLabel | None
) -> list[AudioEvent]:
    decoder = media.decode(scene.path, split=label is not None, track=scene.track)
    blocks = (block[index] for block in _watched(decoder, scene.alive) if index < len(block))
    end = scene.transcript.duration
    events = [
        replace(event, channel=label, end=min(event.end, end))
        for event in tagger.tag(blocks)
        if event.type in wanted and event.start < end
    ]
    return merged(events)


def _watched(blocks: "Iterable[Floats]", alive: Callable[[], None]) -> "Iterator[Floats]":
    for block in blocks:
        alive()
        yield block


def merged(events: Iterable[AudioEvent]) -> list[AudioEvent]:
    """Return *events* of one channel by rising start; those of one type less than `GAP` apart are one (contract §7.9)."""
    open_: dict[str, AudioEvent] = {}
    found = []
    for event in sorted(events, key=lambda each: each.start):
        last = open_.get(event.type)
        if last is not None and event.start - last.end < GAP:
            lengths = last.end - last.start, event.end - event.start
            mean = (last.confidence * lengths[0] + event.confidence * lengths[1]) / max(1, sum(lengths))
            open_[event.type] = replace(last, end=max(last.end, event.end), confidence=mean)
            continue
        if last is not None:
            found.append(last)
        open_[event.type] = event
    return sorted([*found, *open_.values()], key=lambda each: (each.start, each.end))


def _sums(
    scene: Scene, wanted: Iterable[str], events: Sequence[AudioEvent], labels: Iterable[ChannelLabel | None]
) -> Mapping[str, Any]:
    """Return number and duration of each type, of words (speech) and of silence, which are at least 1 s without any of them."""
    channels = set(labels)
    words = [
        (item.start, item.end)
        for item in scene.transcript.items
        if not isinstance(item, Mark) and (item.channel in channels or None in channels)
    ]
    sums = {kind: [(event.start, event.end) for event in events if event.type == kind] for kind in sorted(wanted)}
    quiet = silences([*words, *((event.start, event.end) for event in events)], scene.transcript.duration)
    return {kind: _sum(spans) for kind, spans in {**sums, "silence": quiet, "speech": words}.items()}


def _sum(spans: Sequence[Span]) -> dict[str, Any]:
    return {"count": len(spans), "total_duration": seconds(sum(end - start for start, end in spans))}


def silences(spans: Iterable[Span], duration: Samples) -> list[Span]:
    """Return the parts of 0 … *duration*, each at least `GAP` long, that none of *spans* touches."""
    found, at = [], 0
    for start, end in [*sorted(spans), (duration, duration)]:
        if start - at >= GAP:
            found.append((at, start))
        at = max(at, end)
    return found


def _shown(event: AudioEvent) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": event.type,
        "start_time": seconds(event.start),
        "end_time": seconds(event.end),
        "confidence": round(event.confidence, 2),
    }
    if event.channel is not None:
        body["channel"] = event.channel
    return body


STAGE = Stage(
    name="audio_events",
    asked=lambda request: request.audio_events is not None,
    run=_run,
    empty={"events": [], "summary": {"overall": {}}},
)
