"""Domains that the operator sets up: a vocabulary file, and the engine and model, for requests with `domain` (contract §6.2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from sottovoce.request import LiveRequest, TranscriptionRequest, VocabEntry

R = TypeVar("R", TranscriptionRequest, LiveRequest)

MAX_ENTRIES = 1_000
"""Entries of a vocabulary file, as many as a request may have (contract §6.2)."""
MAX_WORDS = 6
"""Words of an entry (contract §6.2)."""

_MEMBERS = frozenset({"vocabulary", "engine", "model"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain *name* with its words; *engine* and *model* are `None` if any may be chosen."""

    name: str
    vocabulary: tuple[VocabEntry, ...] = ()
    engine: str | None = None
    model: str | None = None

    def prepared(self, request: R) -> R:
        """*request* with the words of the domain after its own; entries that it has already are left out."""
        own = {entry.content.casefold() for entry in request.additional_vocab}
        more = tuple(entry for entry in self.vocabulary if entry.content.casefold() not in own)
        return replace(request, additional_vocab=request.additional_vocab + more)


def load(settings: Mapping[str, Mapping[str, str]]) -> Mapping[str, Domain]:
    """The domains of the setting `domains`, with their vocabulary files read. Raises `ValueError` that names the domain."""
    return {name: _domain(name, members) for name, members in settings.items()}


def _domain(name: str, members: Mapping[str, str]) -> Domain:
    if unknown := members.keys() - _MEMBERS:
        raise ValueError(f"domain {name!r}: {min(unknown)!r} is unknown; use {', '.join(sorted(_MEMBERS))}")
    if not members:
        raise ValueError(f"domain {name!r} is empty; set a vocabulary file, an engine or a model")
    try:
        lines = (
            Path(members["vocabulary"]).read_text(encoding="utf-8-sig").splitlines() if "vocabulary" in members else []
        )
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"domain {name!r}: its vocabulary cannot be read: {error}") from None
    return Domain(
        name=name,
        vocabulary=tuple(_entries(name, lines)),
        engine=members.get("engine"),
        model=members.get("model"),
    )


def _entries(name: str, lines: Iterable[str]) -> Iterable[VocabEntry]:
    """An entry per line: `content`, or `content | sounds like, sounds like`; empty lines and those with `#` are skipped."""
    count = 0
    for number, line in enumerate(lines, start=1):
        content, _, sounds = (part.strip() for part in line.partition("|"))
        if not content or content.startswith("#"):
            continue
        count += 1
        if len(content.split()) > MAX_WORDS:
            raise ValueError(f"domain {name!r}, line {number}: an entry has at most {MAX_WORDS} words")
        if count > MAX_ENTRIES:
            raise ValueError(f"domain {name!r}: its vocabulary has more than {MAX_ENTRIES} entries")
        yield VocabEntry(content=content, sounds_like=tuple(filter(None, (each.strip() for each in sounds.split(",")))))
