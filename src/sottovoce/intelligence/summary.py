"""The summary of a transcript (contract §7.6): the text, brief or detailed, as bullets or in paragraphs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sottovoce.intelligence.protocols import Scene, Sentence, Stage
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import UNKNOWN_SPEAKER

BRIEF, DETAILED = 3, 10
"""Sentences of a brief and of a detailed summary."""
PARAGRAPH = 4
"""Sentences of a paragraph of a detailed summary."""
MOST = 20_000
"""Most characters of a summary: more is not one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The summary to make: at most *most* sentences. *voices*: each speaker with a good part of the words is quoted."""

    most: int
    voices: bool = False


class SummaryBackend(Protocol):
    """Sentences to the parts of a summary."""

    @property
    def languages(self) -> frozenset[str]:
        """The languages that it supports."""
        ...

    def summarize(self, sentences: Sequence[Sentence], wish: Wish, alive: Callable[[], None]) -> Sequence[str]:
        """Return the sentences of the summary, in order."""
        ...


def conversational(scene: Scene) -> bool:
    """True if the summary is one of a conversation: the request says so, or leaves it open and there are two voices."""
    asked = scene.request.summarization
    kind = asked.content_type if asked else "auto"
    if kind != "auto":
        return kind == "conversational"
    known = {each.speaker for each in scene.sentences} - {None, UNKNOWN_SPEAKER}
    return len(known or {each.channel for each in scene.sentences}) > 1


def _run(scene: Scene, backend: SummaryBackend) -> object:
    asked = scene.request.summarization
    if asked is None:
        raise ValueError("no summary was asked for")
    if not scene.sentences:
        return {"content": ""}
    brief = asked.summary_length == "brief"
    wish = Wish(most=BRIEF if brief else DETAILED, voices=conversational(scene))
    parts = [" ".join(part.split()) for part in backend.summarize(scene.sentences, wish, scene.alive)]
    if not 0 < len(parts) <= wish.most or not all(parts) or sum(map(len, parts)) > MOST:
        raise ValueError(
            f"{len(parts)} sentences, {sum(map(len, parts))} characters; at most {wish.most} are asked for"
        )
    if asked.summary_type == "bullets":
        return {"content": "\n".join(f"- {part}" for part in parts)}
    delimiter = pack(scene.language).delimiter
    paragraphs = [parts[at : at + PARAGRAPH] for at in range(0, len(parts), PARAGRAPH)]
    return {"content": "\n\n".join(delimiter.join(each) for each in paragraphs)}


STAGE = Stage(
    name="summary",
    feature="summarization",
    asked=lambda request: request.summarization is not None,
    run=_run,
    unsupported="Summarization not supported for {language}.",
    failed="Summarization failed.",
)
