"""How late results are, and how much audio a session had. Times in seconds of a monotonic clock, passed in."""

from collections import deque
from dataclasses import dataclass, field

from sottovoce.inference import live_events as live
from sottovoce.realtime.ports import Observer
from sottovoce.request import AudioFormat
from sottovoce.transcript.model import RATE, Mark

_STEP = 0.05  # seconds of audio between two marks
_MARKS = 4_000  # marks of one channel: 200 s, more than a recogniser is ever behind in real time


@dataclass(slots=True)
class _Channel:
    received: float = 0.0  # seconds of audio
    processed: float = 0.0
    marks: deque[tuple[float, float]] = field(
        default_factory=lambda: deque(maxlen=_MARKS)
    )  # (seconds of audio, arrival)


class Meter:
    """The delays and the audio of one session. Of a media file in pieces only the processed audio is known."""

    def __init__(self, audio: AudioFormat, channels: int, observer: Observer) -> None:
        width, rate = audio.encoding.width if audio.encoding else 0, audio.sample_rate or 0
        self._bytes_per_second = width * rate
        self._observer = observer
        self._channels = [_Channel() for _ in range(channels)]

    def arrived(self, number: int, size: int, now: float) -> None:
        """*size* bytes of channel *number* arrived."""
        if not self._bytes_per_second:
            return
        channel = self._channels[number]
        channel.received += size / self._bytes_per_second
        if not channel.marks or channel.received - channel.marks[-1][0] >= _STEP:
            channel.marks.append((channel.received, now))

    def event(self, event: live.Event, now: float) -> None:
        """Measure *event*."""
        match event:
            case live.Final() | live.Partial():
                self._processed(event.channel, event.end / RATE)
                delay = self._delay(event, now)
                if delay is not None:
                    (self._observer.final if isinstance(event, live.Final) else self._observer.partial)(delay)
            case live.Worked():
                self._observer.decodes(event.decodes, event.skipped)
            case live.Ended():
                self._processed(event.channel, event.duration / RATE)
            case _:
                pass

    def _processed(self, number: int, until: float) -> None:
        channel = self._channels[number]
        if until > channel.processed:
            self._observer.audio(until - channel.processed)
            channel.processed = until

    def _delay(self, event: live.Final | live.Partial, now: float) -> float | None:
        ends = [item.end for item in event.items if not isinstance(item, Mark)]
        if not ends:
            return None
        marks, end = self._channels[event.channel].marks, max(ends) / RATE
        while len(marks) > 1 and marks[0][0] < end and marks[1][0] <= end and isinstance(event, live.Final):
            marks.popleft()
        arrival = next((at for seconds, at in marks if seconds >= end), None)
        return None if arrival is None else max(0.0, now - arrival)

    @property
    def audio(self) -> float:
        """Seconds of audio of all channels together: what arrived, or of a file what was processed."""
        return sum(max(channel.received, channel.processed) for channel in self._channels)

    @property
    def lag(self) -> float:
        """Seconds of received audio that are not processed yet, of the channel that is furthest behind."""
        return max(max(0.0, channel.received - channel.processed) for channel in self._channels)
