"""Transcripts for the tests of stages: *said* is text with marks; each word takes a quarter of a second."""

from collections.abc import Iterable
from pathlib import Path

from sottovoce.intelligence.protocols import Scene
from sottovoce.intelligence.sentences import sentences
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import RATE, Item, Mark, Transcript, Word

WORD = RATE // 4


def items(text: str, *, start: int = 0, speaker: str | None = None, channel: str | None = None) -> list[Item]:
    """The items of *text* from the sample *start*."""
    found: list[Item] = []
    for written in text.split():
        bare = written.rstrip(".,?!") or written
        found.append(Word(text=bare, start=start, end=start + WORD, speaker=speaker, channel=channel, confidence=0.9))
        start += WORD
        found += [
            Mark(text=mark, at=start, ends_sentence=mark in ".?!", speaker=speaker, channel=channel)
            for mark in written[len(bare) :]
        ]
    return found


def transcript(*parts: Iterable[Item], language: str = "en", channels: tuple[str, ...] = ()) -> Transcript:
    """A transcript of *parts*, by rising start; a second of silence ends it."""
    every = sorted((item for part in parts for item in part), key=lambda item: item.start)
    end = max((item.end for item in every), default=0)
    return Transcript(language=language, duration=end + RATE, created_at=0, items=tuple(every), channels=channels)


def turns(*said: tuple[str, str]) -> Transcript:
    """A conversation of (speaker, text), one after the other."""
    found: list[Item] = []
    for speaker, text in said:
        found += items(text, start=found[-1].end if found else 0, speaker=speaker)
    return transcript(found)


def scene(of: Transcript, **asked: object) -> Scene:
    """The input of a stage for *of*; *asked*: members of the request."""
    request = TranscriptionRequest(language=of.language, **asked)  # type: ignore[arg-type]
    return Scene(transcript=of, sentences=sentences(of), request=request, path=Path("none.wav"), alive=lambda: None)
