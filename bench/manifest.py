"""Reads manifests: tables of audio files with their reference texts."""

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from bench import scoring
from sottovoce.transcript.languages import PACKS

SHARED = Path(__file__).resolve().parents[2] / "shared" / "audio" / "manifest.tsv"
_COLUMNS = ("file", "seconds", "language", "reference")


class Wrong(Exception):
    """The request cannot be measured; the message is one line for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One file of a manifest: *name* as written in it, *reference* as tokens."""

    name: str
    path: Path
    seconds: float
    language: str
    reference: tuple[str, ...]

    @property
    def source(self) -> str:
        """The set that the file belongs to: its first folder."""
        return self.name.split("/")[0] if "/" in self.name else "."


def read(path: Path, languages: Sequence[str]) -> tuple[list[Row], Counter[str]]:
    """The rows of a tab-separated table that can be scored, and counts of the others by reason. Files are beside the table.

    Errors: Wrong for a table without the columns file, seconds, language, reference.
    """
    rows, skipped = [], Counter[str]()
    with path.open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if missing := [name for name in _COLUMNS if name not in (table.fieldnames or ())]:
            raise Wrong(f"{path.name} has no column {missing[0]!r}; it needs {', '.join(_COLUMNS)}, separated by tabs")
        for entry in table:
            row, why = _row(path.parent, {name: (entry[name] or "").strip() for name in _COLUMNS}, languages)
            if row:
                rows.append(row)
            else:
                skipped[why] += 1
    return rows, skipped


def _row(folder: Path, entry: dict[str, str], languages: Sequence[str]) -> tuple[Row | None, str]:
    """The row, or the reason why the entry is skipped."""
    language, path = entry["language"], folder / entry["file"]
    try:
        seconds = float(entry["seconds"])
    except ValueError:
        seconds = math.nan
    reference = scoring.tokens(entry["reference"], language) if language in PACKS else []
    reasons = {
        "another language": language not in languages,
        "no duration": not math.isfinite(seconds) or seconds <= 0,
        "no reference": not reference,
        "no such file": not path.is_file(),
    }
    if why := next((why for why, holds in reasons.items() if holds), ""):
        return None, why
    row = Row(name=entry["file"], path=path, seconds=seconds, language=language, reference=tuple(reference))
    return row, ""


def fits(row: Row, patterns: Sequence[str]) -> bool:
    """True if the name of *row* matches one of *patterns* (`*`, `?`, `[abc]`)."""
    return any(fnmatch(row.name, pattern) for pattern in patterns)
