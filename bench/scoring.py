"""Normalises texts for comparison, and counts the word errors between a text and its reference."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jiwer

from sottovoce.transcript.languages import pack

RULES = (
    "Unicode NFC",
    "<s> and </s> are left out",
    "lower case",
    "typographic apostrophes are plain ones; those at the edge of a word are left out",
    "English only: digits are spelled out (1100-1999 as years), & is and, % is percent, $ £ € follow their amount",
    "English only: mr, mrs and dr are mister, missus and doctor",
    "every other character that is no letter, mark, digit or apostrophe separates words, hyphens too",
    "languages written without blanks are compared character by character",
)
"""The normalisation of both texts, as printed in the report."""

_SENTENCE_MARKS = re.compile(r"</?s>", re.IGNORECASE)
_APOSTROPHES = str.maketrans("’‘ʼ＇", "''''")
_EDGES = re.compile(r"(?<!\w)'+|'+(?!\w)")

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor"}
_MONEY = {"$": "dollars", "£": "pounds", "€": "euros"}
_AMOUNT = re.compile(r"([$£€])\s?(\d[\d,]*(?:\.\d+)?(?: (?:hundred|thousand|million|billion))?)")
_NUMBER = re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?(st|nd|rd|th)?(?![\w])")
_FIGURE = re.compile(r"[\d$£€]|^\W*(?:hundred|thousand|million|billion)\b", re.IGNORECASE)
_MOST_DIGITS = 12  # longer digit strings are read digit by digit
_YEARS = range(1100, 2000)


# ── normalised words ──


def tokens(text: str, language: str) -> list[str]:
    """The words of *text*, normalised by `RULES`; *language* is the contract's code."""
    text = (
        _SENTENCE_MARKS.sub(" ", unicodedata.normalize("NFC", text)).lower().translate(_APOSTROPHES).replace("_", " ")
    )
    if language == "en":
        text = _spelled(text)
    text = "".join(char if char == "'" or unicodedata.category(char)[0] in "LMN" else " " for char in text)
    words = _EDGES.sub("", text).split()
    if language == "en":
        words = _spelled(" ".join(words)).split()  # figures after a mark: `.5`, `1.2.3`
        words = [_TITLES.get(word, word) for word in words]
    return words if pack(language).delimiter else [char for word in words for char in word if char != "'"]


def placed(texts: Sequence[str], language: str) -> list[tuple[str, int]]:
    """The tokens of *texts*, each with the number of the text that it comes from.

    Neighbours that make up one figure (`$20`, `million`) are read together, so that it does not matter how an engine cuts
    its text into words.
    """
    found: list[tuple[str, int]] = []
    at = 0
    while at < len(texts):
        end = at + 1
        while language == "en" and _FIGURE.search(texts[at]) and end < len(texts) and _FIGURE.search(texts[end]):
            end += 1
        apart = [(token, number) for number in range(at, end) for token in tokens(texts[number], language)]
        whole = tokens(" ".join(texts[at:end]), language) if end > at + 1 else [token for token, _ in apart]
        found += apart if whole == [token for token, _ in apart] else [(token, at) for token in whole]
        at = end
    return found


def _spelled(text: str) -> str:
    """*text* with its figures in words."""
    text = _AMOUNT.sub(lambda found: f"{found[2]} {_MONEY[found[1]]}", text)
    text = text.replace("&", " and ").replace("%", " percent ")
    return _NUMBER.sub(_number, text)


def _number(found: re.Match[str]) -> str:
    whole, decimals, ordinal = found[1].replace(",", ""), found[2], found[3]
    if len(whole) > _MOST_DIGITS or (len(whole) > 1 and whole.startswith("0")):
        words = [_ONES[int(digit)] for digit in whole]
    elif "," not in found[1] and not decimals and not ordinal and int(whole) in _YEARS:
        words = _year(int(whole))
    else:
        words = cardinal(int(whole))
    if decimals:
        words += ["point", *(_ONES[int(digit)] for digit in decimals)]
    if ordinal:
        words[-1] = _ordinal(words[-1])
    return " ".join(words)


def cardinal(number: int) -> list[str]:
    """*number* (0 or more) as Americans say it, without "and"."""
    if number < len(_ONES):
        return [_ONES[number]]
    if number < 100:
        return [_TENS[number // 10 - 2], *(cardinal(number % 10) if number % 10 else ())]
    size, name = next((size, name) for size, name in _SCALES if number >= size)
    return [*cardinal(number // size), name, *(cardinal(number % size) if number % size else ())]


def _year(number: int) -> list[str]:
    century, rest = divmod(number, 100)
    if not rest:
        return [*cardinal(century), "hundred"]
    return [*cardinal(century), *(["oh"] if rest < 10 else []), *cardinal(rest)]


def _ordinal(word: str) -> str:
    return _ORDINALS.get(word) or (word[:-1] + "ieth" if word.endswith("y") else word + "th")


# ── word errors ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of words. *hits*, *substitutions* and *deletions* make up the reference."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def words(self) -> int:
        """Words of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """The sum of substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float | None:
        """Errors per word of the reference; may exceed 1 with many insertions; None without a reference."""
        return self.errors / self.words if self.words else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One text compared with its reference: *right* has one entry per recognised word, *listing* is for people.

    *matched* are the numbers of equal words in the reference and in what was heard; *missing* the runs of words of the
    reference, start and end, that have no counterpart.
    """

    tally: Tally
    right: tuple[bool, ...]
    listing: str
    matched: tuple[tuple[int, int], ...] = ()
    missing: tuple[tuple[int, int], ...] = ()


def compare(reference: Sequence[str], heard: Sequence[str]) -> Comparison:
    """*heard* aligned with *reference* with the fewest errors; both hold tokens without blanks, *reference* at least one."""
    found = jiwer.process_words(" ".join(reference), " ".join(heard))
    chunks = found.alignments[0]
    matched = [
        (chunk.ref_start_idx + step, chunk.hyp_start_idx + step)
        for chunk in chunks
        if chunk.type == "equal"
        for step in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]
    known = {number for _, number in matched}
    tally = Tally(
        hits=found.hits,
        substitutions=found.substitutions,
        deletions=found.deletions,
        insertions=found.insertions,
    )
    return Comparison(
        tally=tally,
        right=tuple(number in known for number in range(len(heard))),
        listing=_listing(found),
        matched=tuple(matched),
        missing=tuple((chunk.ref_start_idx, chunk.ref_end_idx) for chunk in chunks if chunk.type == "delete"),
    )


def _listing(found: jiwer.WordOutput) -> str:
    """The reference above the recognised text, with S, D and I under differences; empty if there are none."""
    if all(chunk.type == "equal" for chunk in found.alignments[0]):
        return ""
    text = jiwer.visualize_alignment(found, show_measures=False, line_width=120)
    return "\n".join(line.rstrip() for line in text.splitlines()[1:]).strip("\n")


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum: long files weigh more than short ones."""
    listed = list(tallies)
    return Tally(
        hits=sum(each.hits for each in listed),
        substitutions=sum(each.substitutions for each in listed),
        deletions=sum(each.deletions for each in listed),
        insertions=sum(each.insertions for each in listed),
    )
