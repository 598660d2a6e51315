"""Splits `Hello,`, as punctuating engines write it, into a word and the marks of its language pack.

Works on text only; the engine adds times and confidence.
"""

import re

from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import Mark, Samples

# Groups of marks with one meaning. A pack has at most one of each group (contract §7.4), which replaces the others.
_ALIKE = (".。．…।॥۔", ",，،、;；؛:：", "?？؟;", "!！")
_GREEK_QUESTION = ";"

# Quotes, brackets, dashes and the Spanish openers are not marks of the contract: they are removed at the edges of a word.
_OPENING = '"“”„‟«»‹›‚()[]{}<>–—―¿¡♪'
_CLOSING = '"“”„‟«»‹›()[]{}<>–—―♪'
# Leading dots are removed too, as in "...and so on"; .5 and .net keep theirs.
_LEADING = re.compile(rf"\A(?:[{re.escape(_OPENING)}]|(?:…|\.{{2,}})(?=\D))+")
_QUOTED = re.compile("['‘’](.+)['’]")  # a single apostrophe belongs to its word: dogs' 'em

_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")  # U.S, a.m
_ORDINAL = re.compile(r"\d{1,2}")
# Languages that write ordinal numbers with a dot.
_ORDINAL_DOT = frozenset({"cs", "da", "de", "et", "fi", "hr", "hu", "lv", "no", "pl", "sk", "sl"})
_TITLES = frozenset({"mr", "mrs", "ms", "dr", "prof", "st", "vs"})


def split(text: str, pack: LanguagePack, following: str = "") -> tuple[str, tuple[str, ...]]:
    """The word in *text*, a run without blanks, and the marks after it; either may be empty.

    A mark that *pack* lacks becomes the nearest one (`;` a comma, in Greek a question mark). Repeated marks become one;
    quotes and brackets are removed. `3.5`, `don't` and `20%` are not split. *following* is the next run of the same
    utterance: if there is one, the dot of an abbreviation (`Mr.`, `a.m.`) or ordinal (`3. Mai`) stays with its word.
    """
    core, marks = _peeled(text.strip(), pack)
    if marks[:1] == (".",) and following and _owns_dot(core, following, pack):
        return core + ".", marks[1:]
    return core, marks


def mark(text: str, at: Samples, pack: LanguagePack, confidence: float | None = None) -> Mark:
    """The transcript item for a mark that `split` found after the word that ends *at* (samples); *confidence* 0..1."""
    return Mark(text=text, at=at, ends_sentence=text in pack.stops, confidence=confidence, language=pack.code)


def _peeled(core: str, pack: LanguagePack) -> tuple[str, tuple[str, ...]]:
    """*core* without the punctuation at its edges, and the marks that followed it, in order."""
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
    """The mark of *pack* for *char*: itself, one of the same meaning, or the full stop for `?` and `!`; None if none."""
    if char in pack.marks:
        return char
    alike = next((group for group in _ALIKE if char in group), "")
    if char == _GREEK_QUESTION and pack.code == "el":
        alike = _ALIKE[2]
    return next((each for each in alike if each in pack.marks), pack.stops[0] if alike in _ALIKE[2:] else None)


def _owns_dot(word: str, following: str, pack: LanguagePack) -> bool:
    """True if the dot after *word* belongs to the word and does not end a sentence."""
    if word.lower() in _TITLES or (_INITIALS.fullmatch(word) and not following[:1].isupper()):
        return True
    return pack.code in _ORDINAL_DOT and _ORDINAL.fullmatch(word) is not None
