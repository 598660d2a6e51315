"""Engines that punctuate give `Hello,` as one: here it becomes a word and the marks that its language pack knows.

Pure text. Times and confidence stay with the engine, which alone knows what a piece of text was worth.
"""

import re

from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import Mark, Samples

# Marks of one meaning in all scripts. A pack has at most one of each (contract §7.4), so what it lacks is written as its own.
_ALIKE = (".。．…।॥۔", ",，،、;；؛:：", "?？؟;", "!！")
_GREEK_QUESTION = ";"

# Quotes, brackets, dashes and the Spanish openers are no marks of the contract: they are left out at the edges of a word.
_OPENING = '"“”„‟«»‹›‚()[]{}<>–—―¿¡♪'
_CLOSING = '"“”„‟«»‹›()[]{}<>–—―♪'
# So are leading dots: "...and so on", but .5 and .net keep theirs.
_LEADING = re.compile(rf"\A(?:[{re.escape(_OPENING)}]|(?:…|\.{{2,}})(?=\D))+")
_QUOTED = re.compile("['‘’](.+)['’]")  # else an apostrophe belongs to its word: dogs' 'em

_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")  # U.S, a.m
_ORDINAL = re.compile(r"\d{1,2}")
_ORDINAL_DOT = frozenset({"cs", "da", "de", "et", "fi", "hr", "hu", "lv", "no", "pl", "sk", "sl"})
_TITLES = frozenset({"mr", "mrs", "ms", "dr", "prof", "st", "vs"})


def split(text: str, pack: LanguagePack, following: str = "") -> tuple[str, tuple[str, ...]]:
    """The word in *text*, one run without blanks, and the marks behind it; either may be empty.

    Marks that *pack* lacks are written as its nearest (`;` as a comma, in Greek as a question mark), repeated ones
    once, quotes and brackets not at all; `3.5`, `don't` and `20%` stay whole. *following* is the next run of the same
    utterance: a dot that belongs to an abbreviation (`Mr.`, `a.m.`) or an ordinal (`3. Mai`) stays with its word there.
    """
    core, marks = _peeled(text.strip(), pack)
    if marks[:1] == (".",) and following and _owns_dot(core, following, pack):
        return core + ".", marks[1:]
    return core, marks


def mark(text: str, at: Samples, pack: LanguagePack, confidence: float | None = None) -> Mark:
    """One of the marks that `split` found, behind the word that ends *at*."""
    return Mark(text=text, at=at, ends_sentence=text in pack.stops, confidence=confidence, language=pack.code)


def _peeled(core: str, pack: LanguagePack) -> tuple[str, tuple[str, ...]]:
    """*core* without what stands at its edges, and the marks that stood behind it, in order."""
    marks: list[str] = []
    core = _LEADING.sub("", core)
    while core:
        if core[-1] in _CLOSING or core in {"-", "'", "‘", "’"}:
            core = core[:-1]
        elif quoted := _QUOTED.fullmatch(core):
            core = quoted[1]
        elif own := _own(core[-1], pack):
            if marks[-1:] != [own]:
                marks.append(own)
            core = core[:-1]
        else:
            break
    return core.lstrip("‘"), tuple(reversed(marks))


def _own(char: str, pack: LanguagePack) -> str | None:
    """The mark that *pack* has for *char*: itself, one of the same meaning, or its plain stop for `?` and `!`."""
    if char in pack.marks:
        return char
    alike = next((group for group in _ALIKE if char in group), "")
    if char == _GREEK_QUESTION and pack.code == "el":
        alike = _ALIKE[2]
    return next((each for each in alike if each in pack.marks), pack.stops[0] if alike in _ALIKE[2:] else None)


def _owns_dot(word: str, following: str, pack: LanguagePack) -> bool:
    """Whether the dot behind *word* is its own rather than the end of a sentence."""
    if word.lower() in _TITLES or (_INITIALS.fullmatch(word) and not following[:1].isupper()):
        return True
    return pack.code in _ORDINAL_DOT and _ORDINAL.fullmatch(word) is not None
