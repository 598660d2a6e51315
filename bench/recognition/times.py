"""Measures the distance of word starts from known ones.

Known times come in JSON: for each file of a manifest either `[[word, start, end], …]` or `{"words": [{"word": …,
"start_time": …}, …]}`, seconds from the start of the file.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import machine, scoring
from bench.bare import Spoken
from bench.manifest import SHARED, Wrong
from bench.recognition.scores import Score, Token, tokens

KNOWN = SHARED.parents[1] / "prototypes" / "streaming" / "refs.json"
"""Word times of the shared recordings: the vendor's for `speechmatics/audio_01`, forced alignment (accurate to about 0.05 s)
for the others."""

Times = Mapping[str, Sequence[Token]]
"""The words of each file with their starts."""


def read(paths: Sequence[Path], languages: Mapping[str, str]) -> dict[str, list[Token]]:
    """The known times of the files that *languages* names. Raises Wrong for a malformed file."""
    found: dict[str, list[Token]] = {}
    for path in paths:
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            for name in table.keys() & languages.keys():
                found[name] = tokens([_spoken(word) for word in _words(table[name])], languages[name])
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise Wrong(f"{path.name} holds no word times: {type(error).__name__}: {error}") from error
    return found


def _words(entry: Any) -> Sequence[Any]:
    return list(entry["words"] if isinstance(entry, dict) else entry)


def _spoken(word: Any) -> Spoken:
    text, start = (word["word"], word["start_time"]) if isinstance(word, dict) else (word[0], word[1])
    return Spoken(text=str(text), start=float(start))


def errors(known: Sequence[Token], heard: Sequence[Token]) -> list[float]:
    """Seconds between the known and the recognised start of every correctly recognised word."""
    if not known:
        return []
    compared = scoring.compare([token.text for token in known], [token.text for token in heard])
    return [
        abs(heard[there].start - known[here].start)  # type: ignore[operator]  # both are asked for below
        for here, there in compared.matched
        if known[here].start is not None and heard[there].start is not None
    ]


def summary(found: Sequence[float]) -> dict[str, Any]:
    """Median and 90th percentile of *found*."""
    if not found:
        return {"words": 0, "median_s": None, "p90_s": None}
    values = list(found)
    return {
        "words": len(values),
        "median_s": machine.percentile(values, 0.5),
        "p90_s": machine.percentile(values, 0.9),
    }


def report(scores: Sequence[Score], known: Times) -> dict[str, Any]:
    """The errors of all files with known times, together and each."""
    found = {each.row.name: errors(known[each.row.name], each.tokens) for each in scores if each.row.name in known}
    return {
        **summary([error for each in found.values() for error in each]),
        "files": {name: summary(each) for name, each in found.items()},
    }
