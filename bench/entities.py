"""Measures entities against pairs of spoken and written text: `python -m bench.entities [--shared DIR] [--sentences 300]`.

The pairs are those of `text/itn` in the shared folder, and sentences that this program makes, with times, for each class in
English and for numbers in Italian and Dutch. Pairs that break the contract are listed with the reason and not scored.
text2num is measured in the same run if it can be imported (`pip install --target DIR text2num`, `PYTHONPATH=DIR`); it is not
a dependency. JSON goes to standard output. Exit code 1: an aim is missed; 2: no pairs were found.

*digits*: the digits of the result are those of the pair, in order. *exact*: the texts are equal apart from capitals, blanks,
separators between thousands, a leading zero of an hour, and superscripts (NFKC).

In order: pairs; sentences of our own; the two methods; the score; the report.
"""

import argparse
import json
import random
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
from sottovoce.transcript import verbalization
from sottovoce.transcript.entities.items import rewrite
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import RATE, Entity, Item, Mark, Word
from sottovoce.transcript.verbalization.number_words import named

LANGUAGES = ("en", "de", "fr", "es", "pt")
AIMS = {"digits": 0.92, "exact": 0.80}
"""Shares of the scored English pairs that must be right."""
_MARKS = frozenset(",.?!")
_SPEECH, _PAUSE = RATE * 3 // 10, RATE // 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A *spoken* text of *language* and how it is *written*; *kind* is the class of the source."""

    language: str
    kind: str
    spoken: str
    written: str


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


# ── sentences of our own ──


def _words(number: int, language: str = "en") -> str:
    return " ".join(named(number, language))


def _ordinal(number: int) -> str:
    return " ".join(named(number, "en", "ordinal"))


def _suffixed(number: int) -> str:
    teen = number % 100 in range(11, 14)
    return f"{number:,}" + ("th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th"))


_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_UNITS = {
    "kilometers": "km",
    "kilograms": "kg",
    "miles per hour": "mph",
    "square meters": "m²",
    "gigabytes": "GB",
    "watts": "W",
}
_NAMES = ["anna", "peter", "info", "robert", "susan", "office"]
_HOSTS = ["example", "acme", "northwind", "contoso", "fabrikam"]


def _spell(digits: str) -> str:
    return " ".join(_DIGITS[int(digit)] for digit in digits)


def _random_digits(dice: random.Random, length: int) -> str:
    return "".join(str(dice.randrange(10)) for _ in range(length))


def _cardinal(dice: random.Random) -> tuple[str, str]:
    number = dice.choice([dice.randrange(11, 100), dice.randrange(100, 10_000), dice.randrange(10_000, 1_000_000)])
    number = number + 1 if 1100 <= number < 2100 else number
    spoken = _words(number)
    if 2001 <= number < 2100:
        return _cardinal(dice)
    return f"we counted {spoken} people", f"we counted {number:,} people"


def _decimal(dice: random.Random) -> tuple[str, str]:
    whole, rest = dice.randrange(0, 200), _random_digits(dice, dice.randrange(1, 4))
    return f"it is {_words(whole)} point {_spell(rest)} on average", f"it is {whole}.{rest} on average"


def _fraction(dice: random.Random) -> tuple[str, str]:
    below = dice.randrange(11, 20)
    above = dice.randrange(2, 11)
    return f"about {_words(above)} {_ordinal(below)}s of it", f"about {above}/{below} of it"


def _ordinals(dice: random.Random) -> tuple[str, str]:
    number = dice.choice([dice.randrange(11, 100), dice.randrange(100, 1000)])
    return f"on the {_ordinal(number)} attempt", f"on the {_suffixed(number)} attempt"


def _money(dice: random.Random) -> tuple[str, str]:
    word, sign = dice.choice([("dollars", "$"), ("euros", "€"), ("pounds", "£")])
    number, cents = dice.randrange(2, 5000), dice.randrange(11, 100)
    if dice.random() < 0.3 and word == "dollars":
        return (
            f"it costs {_words(number)} dollars and {_words(cents)} cents today",
            f"it costs ${number:,}.{cents} today",
        )
    if dice.random() < 0.3:
        return f"it costs {_words(number)} million {word} today", f"it costs {sign}{number:,} million today"
    return f"it costs {_words(number)} {word} today", f"it costs {sign}{number:,} today"


def _percentage(dice: random.Random) -> tuple[str, str]:
    number = dice.randrange(1, 200)
    word = dice.choice(["percent", "per cent"])
    return f"nearly {_words(number)} {word} of them", f"nearly {number}% of them"


def _date(dice: random.Random) -> tuple[str, str]:
    day, month, year = dice.randrange(1, 29), dice.choice(_MONTHS), dice.randrange(1910, 2000)
    spoken_year = f"{_words(year // 100)} {_words(year % 100)}" if year % 100 > 9 else _words(year)
    if dice.random() < 0.5:
        return f"born on {month.lower()} {_ordinal(day)} {spoken_year}", f"born on {month} {_suffixed(day)} {year}"
    return (
        f"born on the {_ordinal(day)} of {month.lower()} {spoken_year}",
        f"born on the {_suffixed(day)} of {month} {year}",
    )


def _time(dice: random.Random) -> tuple[str, str]:
    hour, minute, half = dice.randrange(1, 13), dice.randrange(0, 60), dice.choice("ap")
    said = "" if not minute else f" oh {_words(minute)}" if minute < 10 else f" {_words(minute)}"
    shown = f"{hour}:{minute:02d}" if minute else str(hour)
    return f"it starts at {_words(hour)}{said} {half} m today", f"it starts at {shown} {half}.m. today"


def _span(dice: random.Random) -> tuple[str, str]:
    low = dice.randrange(11, 50)
    high = low + dice.randrange(1, 50)
    if dice.random() < 0.5:
        return f"between us {_words(low)} to {_words(high)} percent", f"between us {low} to {high}%"
    return f"it costs {_words(low)} to {_words(high)} dollars", f"it costs {low} to ${high}"


def _card(dice: random.Random) -> tuple[str, str]:
    digits = _random_digits(dice, 16)
    shown = " ".join(digits[at : at + 4] for at in range(0, 16, 4))
    return f"my card is {_spell(digits)} please", f"my card is {shown} please"


def _phone(dice: random.Random) -> tuple[str, str]:
    digits = str(dice.randrange(2, 10)) + _random_digits(dice, 9)
    return f"call {_spell(digits)} now", f"call ({digits[:3]}) {digits[3:6]}-{digits[6:]} now"


def _electronic(dice: random.Random) -> tuple[str, str]:
    name, host, domain = dice.choice(_NAMES), dice.choice(_HOSTS), dice.choice(["com", "org", "net"])
    if dice.random() < 0.5:
        other = dice.choice(_NAMES)
        return (
            f"write to {name} dot {other} at {host} dot {domain} today",
            f"write to {name}.{other}@{host}.{domain} today",
        )
    return f"go to w w w dot {host} dot {domain} today", f"go to www.{host}.{domain} today"


def _measurement(dice: random.Random) -> tuple[str, str]:
    unit, symbol = dice.choice(list(_UNITS.items()))
    number = dice.randrange(2, 5000)
    return f"it has {_words(number)} {unit} in all", f"it has {number:,} {symbol} in all"


def _alphanum(dice: random.Random) -> tuple[str, str]:
    letters = "".join(dice.choice("BCDFGHKMPQRSTVXZ") for _ in range(2))
    digits = _random_digits(dice, dice.randrange(2, 5))
    return f"the code is {' '.join(letters.lower())} {_spell(digits)} thanks", f"the code is {letters}{digits} thanks"


CLASSES: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "alphanum": _alphanum, "cardinal": _cardinal, "decimal": _decimal, "fraction": _fraction, "ordinal": _ordinals,
    "money": _money, "percentage": _percentage, "date": _date, "time": _time, "span": _span, "credit card": _card,
    "telephone": _phone, "electronic": _electronic, "measurement": _measurement,
}  # fmt: skip

_FOREIGN = {
    "it": {"cardinal": ("abbiamo contato {} persone", "."), "percentage": ("circa {} per cento di loro", "\u00a0%"),
           "money": ("costa {} euro oggi", "\u00a0€")},
    "nl": {"cardinal": ("we telden {} mensen", "."), "percentage": ("ongeveer {} procent ervan", "%"),
           "money": ("het kost {} euro vandaag", "€\u00a0")},
}  # fmt: skip


def own_pairs(count: int) -> Iterator[Pair]:
    """*count* English sentences of each class, and as many of three classes in Italian and Dutch; the same in every run."""
    dice = random.Random(23)
    for kind, make in CLASSES.items():
        for _ in range(count):
            spoken, written = make(dice)
            yield Pair(language="en", kind=kind, spoken=spoken, written=written)
    for language, kinds in _FOREIGN.items():
        for kind, (frame, sign) in kinds.items():
            for _ in range(count):
                number = dice.choice(
                    [dice.randrange(11, 100), dice.randrange(100, 1000), dice.randrange(3000, 200_000)]
                )
                digits = f"{number:,}".replace(",", ".") if number > 9999 else str(number)
                shown = digits if kind == "cardinal" else digits + sign
                if language == "nl" and kind == "money":
                    shown = sign + digits
                word = {"percentage": (" per cento", " procent"), "money": (" euro", " euro")}.get(kind, ("", ""))
                written = frame.format("{}" + "").replace(word[0] if language == "it" else word[1], "", 1).format(shown)
                yield Pair(language=language, kind=kind, spoken=frame.format(_words(number, language)), written=written)


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
