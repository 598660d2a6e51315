"""Make the pairs of American and British spellings from the word lists of SCOWL.

    apt-get download scowl && dpkg-deb -x scowl_*.deb scowl
    python -m bench.spelling_pairs scowl/usr/share/dict/scowl > src/sottovoce/transcript/spelling/pairs.py

A rule gives the British form of an American word; the pair is kept if the American word is in no list that British English
shares, and the British form is in a British list. SCOWL has the lists of each variety but no pairs.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

LEVELS = (10, 20, 35, 40, 50, 55, 60)
"""Sizes of the word lists; larger ones have words that few people know."""

RULES: tuple[tuple[str, str], ...] = (
    (r"or", "our"), (r"er(s?)$", r"re\1"), (r"ered$", "red"), (r"ering$", "ring"), (r"erless$", "reless"), (r"er(\w+)$", r"re\1"),
    (r"iz(e|i|a)", r"is\1"), (r"yz(e|i|a)", r"ys\1"), (r"([aeiou])l(ed|ing|er|ers|or|ors|ist|ists|able|ery)$", r"\1ll\2"),
    (r"([aeiou])p(ed|ing|er|ers)$", r"\1pp\2"), (r"([aeiou])t(ed|ing|er|ers)$", r"\1tt\2"), (r"ll", "l"), (r"l(y|s)?$", r"ll\1"),
    (r"e", "ae"), (r"e", "oe"), (r"ense", "ence"), (r"og(s?)$", r"ogue\1"), (r"ogu?ed$", "ogued"), (r"oging$", "oguing"),
    (r"gray", "grey"), (r"plow", "plough"), (r"dgm", "dgem"), (r"olt", "oult"), (r"old", "ould"), (r"f", "ph"), (r"k", "c"),
    (r"num$", "nium"), (r"elry$", "ellery"), (r"must", "moust"), (r"paj", "pyj"), (r"zy", "sy"), (r"zi", "si"), (r"aga", "agga"),
    (r"arti", "arte"), (r"eled", "elled"), (r"z", "s"), (r"([aeiou])l(l?)ed$", r"\1lled"), (r"s", "ss"), (r"ee", "ea"),
    (r"([^e])(able|age|ing)$", r"\1e\2"), (r"ction", "xion"), (r"o", "ou"), (r"y", "i"), (r"i", "y"), (r"er$", "re"),
)  # fmt: skip

SKIPPED = frozenset(
    [
        "practice",
        "license",
        "meter",
        "program",
        "draft",
        "check",
        "tire",
        "curb",
        "story",
        "ton",
        "disk",
        "analog",
        "dialog",
        "gray",
        "vise",
        "mom",
        "fetus",
        "plow",
        "inquiry",
        "inquire",
        "install",
        "pry",
        "spelled",
        "learned",
        "burned",
        "dreamed",
        "leaned",
        "leaped",
        "spoiled",
        "spilled",
        "smelled",
        "kneeled",
        "ax",
        "racket",
        "cozy",
        "tidbit",
    ]
)
"""Words that are right in both varieties, depending on their sense or part of speech."""


def words(folder: Path, *varieties: str) -> set[str]:
    """The words of the lists of *varieties*, in lower case, without possessives."""
    found: set[str] = set()
    for variety in varieties:
        for level in LEVELS:
            path = folder / f"{variety}-words.{level}"
            if path.exists():
                found |= set(path.read_text(encoding="latin-1").split())
    return {word for word in found if word.isalpha() and word.islower() and word.isascii()}


def candidates(word: str) -> Iterator[str]:
    """British forms of *word* by one rule at one place, or two rules."""
    first = {word[: match.start()] + match.expand(form) + word[match.end() :]
             for rule, form in RULES for match in re.finditer(rule, word)}  # fmt: skip
    yield from sorted(first)
    for once in sorted(first):
        for rule, form in RULES[:20]:
            yield from (
                once[: match.start()] + match.expand(form) + once[match.end() :] for match in re.finditer(rule, once)
            )


def stems(word: str) -> Iterator[str]:
    """*word* and what it may be an inflection of."""
    yield word
    for ending in ("s", "es", "d", "ed", "ing", "er", "ers", "ly"):
        if word.endswith(ending):
            yield word.removesuffix(ending)
            yield word.removesuffix(ending) + "e"


def pairs(folder: Path) -> list[tuple[str, str]]:
    """American and British form of each word, sorted."""
    shared = words(folder, "english")
    american, british = words(folder, "american"), words(folder, "british")
    only = american - british - shared
    found: list[tuple[str, str]] = []
    for word in sorted(only):
        if any(stem in SKIPPED for stem in stems(word)):
            continue
        form = next((each for each in candidates(word) if each in british - american - shared), None)
        if form is not None:
            found.append((word, form))
    return found


_HEAD = '''"""American and British spellings, made by `bench/spelling_pairs.py` from SCOWL 2020.12.07 (Debian `scowl`).

SCOWL is Copyright 2000-2011 by Kevin Atkinson. Permission to use, copy, modify, distribute and sell these word lists, the
associated scripts, the output created from the scripts, and its documentation for any purpose is hereby granted without fee,
provided that the above copyright notice appears in all copies and that both that copyright notice and this permission notice
appear in supporting documentation. Kevin Atkinson makes no representations about the suitability of this array for any
purpose. It is provided "as is" without express or implied warranty.
"""'''


def main() -> None:
    """Print the module of pairs."""
    found = pairs(Path(sys.argv[1]))
    print(_HEAD)
    print()
    print('PAIRS = """')
    line = ""
    for word, form in found:
        entry = f"{word}:{form}"
        if len(line) + len(entry) > 125:
            print(line.rstrip())
            line = ""
        line += entry + " "
    print(line.rstrip())
    print('"""')
    print('"""One `american:british` per pair."""')


if __name__ == "__main__":
    main()
