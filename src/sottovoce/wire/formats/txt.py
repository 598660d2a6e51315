"""A transcript as plain text (contract §8.1)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from sottovoce.request import Diarization
from sottovoce.transcript.entities.items import as_words
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import LanguagePack, pack
from sottovoce.transcript.model import UNKNOWN_SPEAKER, Item, Mark, Transcript
from sottovoce.transcript.timeline import Unit, by_sentence, units

SPEAKER_HEADER = "SPEAKER: {}"
"""The line above a turn; an unknown speaker is `UU` (contract §8.1, inferred)."""

CHANNEL_HEADER = "CHANNEL: {}"
"""The same line for channel diarization; the contract does not specify it (§8.1, inferred)."""


def render(transcript: Transcript, *, diarization: Diarization) -> str:
    """The text of *transcript* without a final newline; empty for a transcript without words.

    With *diarization* each turn is a block of a header line and one paragraph, and an empty line separates blocks. With
    or without it, a change of language starts a new line. Words of channels that speak at once are grouped by sentences.
    """
    header = _HEADERS[diarization]
    language = pack(transcript.language)
    return "\n\n".join(turn.text(language) for turn in turns(as_words(transcript.items), header))


def _speaker(item: Item) -> str:
    return SPEAKER_HEADER.format(_one_line(item.speaker or UNKNOWN_SPEAKER))


def _channel(item: Item) -> str:
    return CHANNEL_HEADER.format(_one_line(item.channel or ""))


def _no_label(_item: Item) -> str:
    return ""


_HEADERS: dict[Diarization, Callable[[Item], str]] = {
    Diarization.NONE: _no_label,
    Diarization.SPEAKER: _speaker,
    Diarization.CHANNEL: _channel,
    Diarization.CHANNEL_AND_SPEAKER: _speaker,
}


def _one_line(label: str) -> str:
    """*label* without line breaks: the caller chose it, and it must not be mistaken for text of the transcript."""
    return " ".join(label.split())


@dataclass(slots=True, kw_only=True)
class Turn:
    """A *header* and the *lines* below it; a change of language starts a new line."""

    header: str
    language: str | None
    lines: list[list[Item]] = field(default_factory=list)

    def text(self, language: LanguagePack) -> str:
        """The text of the block."""
        lines = [join(line, language) for line in self.lines]
        return "\n".join([self.header, *lines] if self.header else lines)


def turns(items: Iterable[Item], header: Callable[[Item], str]) -> Iterator[Turn]:
    """The turns of *items*, which differ in *header*. Units are not split, so a mark without a label never starts a turn."""
    turn: Turn | None = None
    for unit in units(by_sentence(items)):
        lead = _lead(unit)
        above = header(lead)
        if turn is None or turn.header != above:
            if turn is not None:
                yield turn
            turn = Turn(header=above, language=lead.language, lines=[[]])
        elif turn.language != lead.language:
            turn.language = lead.language
            turn.lines.append([])
        turn.lines[-1].extend(unit)
    if turn is not None:
        yield turn


def _lead(unit: Unit) -> Item:
    return next((item for item in unit if not isinstance(item, Mark)), unit[0])
