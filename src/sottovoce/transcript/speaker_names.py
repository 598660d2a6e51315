"""Names that people gave to the labels of a transcript: an overlay, the transcript itself does not change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sottovoce.transcript.model import UNKNOWN_SPEAKER, ChannelLabel, Entity, Item, Mark, SpeakerLabel, Transcript, Word

_Spoken = TypeVar("_Spoken", bound=Word | Mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerNames:
    """The names of *speakers* and of *channels* by their labels in the transcript."""

    speakers: Mapping[SpeakerLabel, str] = field(default_factory=dict)
    channels: Mapping[ChannelLabel, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.speakers or self.channels)

    def shown_in(self, transcript: Transcript) -> Transcript:
        """*transcript* with the names in place of the labels, for a format that people read."""
        if not self:
            return transcript
        return replace(transcript, items=tuple(map(self._named, transcript.items)))

    def _named(self, item: Item) -> Item:
        if not isinstance(item, Entity):
            return self._labelled(item)
        spoken = tuple(self._labelled(each) for each in item.spoken)
        written = tuple(self._labelled(each) for each in item.written)
        speaker, channel = self._of(item)
        return replace(item, speaker=speaker, channel=channel, spoken=spoken, written=written)

    def _labelled(self, item: _Spoken) -> _Spoken:
        speaker, channel = self._of(item)
        return (
            item
            if (speaker, channel) == (item.speaker, item.channel)
            else replace(item, speaker=speaker, channel=channel)
        )

    def _of(self, item: Item) -> tuple[SpeakerLabel | None, ChannelLabel | None]:
        speaker = None if item.speaker is None else self.speakers.get(item.speaker, item.speaker)
        channel = None if item.channel is None else self.channels.get(item.channel, item.channel)
        return speaker, channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The labels of a transcript that can have names, in the order of their first items; `UU` cannot, it is no one speaker."""

    speakers: tuple[SpeakerLabel, ...] = ()
    channels: tuple[ChannelLabel, ...] = ()


def labels(items: Iterable[Item]) -> Labels:
    """The labels of *items*."""
    speakers: dict[SpeakerLabel, None] = {}
    channels: dict[ChannelLabel, None] = {}
    for item in items:
        if item.speaker is not None and item.speaker != UNKNOWN_SPEAKER:
            speakers[item.speaker] = None
        if item.channel is not None:
            channels[item.channel] = None
    return Labels(speakers=tuple(speakers), channels=tuple(channels))
