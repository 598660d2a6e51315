"""Measures entities against pairs of spoken and written text: `python -m bench.entities [--shared DIR] [--sentences 300]`.

The pairs are those of `text/itn` in the shared folder, and sentences that this program makes, with times, for each class in
English and for numbers in Italian and Dutch. Pairs that break the contract are listed with the reason and not scored.
text2num is measured in the same run if it can be imported (`pip install --target DIR text2num`, `PYTHONPATH=DIR`); it is not
a dependency. JSON goes to standard output. Exit code 1: an aim is missed; 2: no pairs were found.

*digits*: the digits of the result are those of the pair, in order. *exact*: the texts are equal apart from capitals, blanks,
separators between thousands, a leading zero of an hour, and superscripts (NFKC).

In order: pairs; the two methods; the score; the report. The sentences are those of `bench.entity_sentences`.
"""

import argparse
import json
import re
import sys
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import machine
from bench.entity_sentences import Pair, own_pairs
from sottovoce.transcript import verbalization
from sottovoce.transcript.entities.items import rewrite
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, Entity, Item, Mark, Word

LANGUAGES = ("en", "de", "fr", "es", "pt")
AIMS = {"digits": 0.92, "exact": 0.80}
"""Shares of the scored English pairs that must be right."""
_MARKS = frozenset(",.?!")
_SPEECH, _PAUSE = RATE * 3 // 10, RATE // 10


# ── pairs of the shared folder ──


def shared_pairs(folder: Path) -> Iterator[Pair]:
    """The pairs of every language in *folder*."""
    for language in LANGUAGES:
        path = folder / f"{language}.tsv"
        for line in path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else ():
            kind, spoken, written = line.split("\t")
            yield Pair(language=language, kind=kind, spoken=spoken, written=written)


def contradiction(pair: Pair) -> str | None:
    """The reason why *pair* is not scored: it breaks the contract, or its class is none of the contract's."""
    return next(
        (why for kinds, languages, broken, why in _BROKEN if _applies(pair, kinds, languages) and broken(pair)), None
    )


def _applies(pair: Pair, kind: str, languages: str) -> bool:
    return pair.kind == kind and (not languages or pair.language in languages.split())


def _up_to_ten(pair: Pair) -> bool:
    number = re.sub(r"\D", "", pair.written)
    return bool(number) and int(number) <= 10


def _loses_words(pair: Pair) -> bool:
    spoken_ordinal = re.search(r"\b\w+(?:st|nd|rd|th)\b", pair.spoken) is not None
    return spoken_ordinal and re.search(r"\d(?:st|nd|rd|th)", pair.written) is None


_BROKEN: tuple[tuple[str, str, Callable[[Pair], object], str], ...] = (
    ("whitelist", "", lambda _: True, "abbreviations are no class of the contract"),
    ("word", "", lambda pair: "!" in pair.spoken, "a mark is an item of its own"),
    ("ordinal", "", _up_to_ten, "ordinals up to ten stay words"),
    ("cardinal", "en", _up_to_ten, "cardinals up to ten stay words"),
    ("fraction", "", lambda pair: pair.written in {"1/2", "1/3", "1/4"}, "small fractions stay words"),
    ("date", "en", lambda pair: pair.written.startswith("Q"), "the words of a date stay as they are spoken"),
    ("date", "en", _loses_words, "the ordinals of a date stay ordinals"),
    (
        "date",
        "de",
        lambda pair: re.search(r"[A-Z][a-zä]{2}\.", pair.written),
        "a month is abbreviated that is spoken in full",
    ),
    (
        "money",
        "de",
        lambda pair: re.match(r"[$€£]", pair.written),
        "the currency follows its number in German (`10 $`)",
    ),
)
"""Class, languages (all if empty), test, and reason."""


# ── the two methods ──


def items(text: str) -> list[Item]:
    """*text* with a word every 0.4 s."""
    found: list[Item] = []
    at = 0
    for run in text.split():
        if run in _MARKS:
            found.append(Mark(text=run, at=at, ends_sentence=run != ","))
            continue
        found.append(Word(text=run, start=at, end=at + _SPEECH))
        at += _SPEECH + _PAUSE
    return found


def ours(pair: Pair) -> tuple[str, list[str], bool]:
    """The text of *pair* as we write it, the classes of its entities, and whether their times are sane."""
    line = items(pair.spoken)

    def speak(texts: Sequence[str]) -> list[Sequence[str]]:
        return [ways[0] if ways else () for ways in verbalization.spoken(texts, pair.language)]

    found = rewrite(line, pack(pair.language), speak)
    entities = [item for item in found if isinstance(item, Entity)]
    return join(found, pack(pair.language)), [entity.entity_class for entity in entities], all(map(_sane, entities))


def _sane(entity: Entity) -> bool:
    parts = [*entity.written]
    inside = all(entity.start <= part.start <= part.end <= entity.end for part in (*parts, *entity.spoken))
    return inside and all(one.end <= other.start for one, other in pairwise(parts))


def other_method() -> Callable[[str, str], str] | None:
    """text2num, if it is installed."""
    try:
        from text_to_num import alpha2digit  # type: ignore[import-not-found]
    except ImportError:
        return None
    return lambda text, language: str(alpha2digit(text, language))


# ── the score ──


def plain(text: str, language: str) -> str:
    """*text* in the form in which two texts are compared."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"(?<=\d)[, ](?=\d{3}(?!\d))" if language == "en" else r"(?<=\d)[. ](?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<![\d:.,])0(?=\d(?::| ?h))", "", text)
    return "".join(text.split())


def digits(text: str) -> str:
    """The digits of *text*; a leading zero of an hour is left out."""
    return re.sub(r"\D", "", re.sub(r"(?<![\d:.,])0(?=\d:)", "", unicodedata.normalize("NFKC", text)))


@dataclass(slots=True, kw_only=True)
class Score:
    """Numbers of pairs: all that are *scored*, with the right *digits*, and *exact*."""

    scored: int = 0
    digits: int = 0
    exact: int = 0

    def add(self, result: str, pair: Pair) -> bool:
        """Count *result*; True if it is exact."""
        exact = plain(result, pair.language) == plain(pair.written, pair.language)
        self.scored += 1
        self.digits += digits(result) == digits(pair.written)
        self.exact += exact
        return exact

    def shown(self) -> dict[str, Any]:
        """The score as values that JSON can represent."""
        total = self.scored or 1
        return {"scored": self.scored, "digits": round(self.digits / total, 3), "exact": round(self.exact / total, 3)}


def measure(pairs: Sequence[Pair], *, classes: bool = False, leave_out: bool = True) -> dict[str, Any]:
    """The scores of *pairs* by language and class; *classes*: compare the class of the entity with the pair's.

    *leave_out*: pairs that break the contract are not scored.
    """
    other = other_method()
    mine: defaultdict[tuple[str, str], Score] = defaultdict(Score)
    theirs: defaultdict[tuple[str, str], Score] = defaultdict(Score)
    left_out: Counter[tuple[str, str]] = Counter()
    broken: list[dict[str, str]] = []
    wrong: list[dict[str, str]] = []
    wrong_class = bad_times = 0
    spent = 0.0
    for pair in pairs:
        reason = contradiction(pair) if leave_out and not classes else None
        if reason:
            left_out[pair.language, reason] += 1
            broken.append({"language": pair.language, "spoken": pair.spoken, "written": pair.written, "why": reason})
            continue
        start = time.perf_counter()
        text, found, sane = ours(pair)
        spent += time.perf_counter() - start
        bad_times += not sane
        wrong_class += classes and found != [pair.kind]
        for key in (pair.language, pair.kind), (pair.language, "all"):
            exact = mine[key].add(text, pair)
            if other:
                theirs[key].add(other(pair.spoken, pair.language), pair)
        if not exact:
            wrong.append(
                {
                    "language": pair.language,
                    "class": pair.kind,
                    "spoken": pair.spoken,
                    "written": pair.written,
                    "ours": text,
                }
            )
    return {
        "ours": _table(mine),
        "text2num": _table(theirs),
        "left_out": [{"language": one, "why": why, "pairs": n} for (one, why), n in sorted(left_out.items())],
        "left_out_pairs": broken,
        "wrong": wrong,
        "wrong_class": wrong_class,
        "bad_times": bad_times,
        "milliseconds_per_pair": round(1000 * spent / max(1, len(pairs)), 3),
    }


def _table(scores: dict[tuple[str, str], Score]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for (language, kind), score in scores.items():
        found.setdefault(language, {})[kind] = score.shown()
    return found


def missed(report: dict[str, Any]) -> list[str]:
    """The aims that *report* misses."""
    tables = report["shared"]["ours"], report["shared"]["text2num"], report["own"]["ours"], report["own"]["text2num"]
    found = [f"en {name}" for name, aim in AIMS.items() if tables[0].get("en", {}).get("all", {}).get(name, 1) < aim]
    for mine, theirs in (tables[:2], tables[2:]):
        for language, table in theirs.items():
            pairs_ = [(name, mine[language]["all"][name], table["all"][name]) for name in AIMS]
            found += [f"{language} {name}" for name, our, their in pairs_ if our < their or our == their < 1]
    return found + ["times"] * bool(report["shared"]["bad_times"] or report["own"]["bad_times"])


def main() -> int:
    """Measure, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="the shared folder")
    parser.add_argument("--sentences", type=int, default=300, help="sentences of our own per class")
    given = parser.parse_args()
    pairs = list(shared_pairs(given.shared / "text" / "itn"))
    if not pairs:
        print(f"no pairs in {given.shared}/text/itn", file=sys.stderr)
        return 2
    report: dict[str, Any] = {
        "machine": machine.fingerprint(),
        "text2num_installed": other_method() is not None,
        "shared": measure(pairs, classes=False),
        "own": measure(list(own_pairs(given.sentences)), classes=True),
    }
    report["shared"]["ours_of_all_pairs"] = {
        language: table["all"] for language, table in measure(pairs, leave_out=False)["ours"].items()
    }
    report["missed"] = missed(report)
    json.dump(report, sys.stdout, ensure_ascii=False, indent=1)
    print()
    return 1 if report["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
