"""English spelling by `output_locale` (contract §6.2): American words become British ones or the other way round.

Pairs come from word lists (`pairs.py`) and a short list of our own. A word whose spelling depends on its part of speech or
sense changes only if its neighbours decide. The case is kept; a capitalised word inside a sentence may be a name, and stays.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from sottovoce.transcript.entities.locale import words
from sottovoce.transcript.model import Item, Mark, Word
from sottovoce.transcript.spelling.pairs import PAIRS

LOCALES = ("en-GB", "en-US", "en-AU")
"""The locales of English; en-AU has the spellings of en-GB."""

_OURS = """
gray:grey grays:greys grayed:greyed graying:greying grayish:greyish cozy:cosy cozier:cosier cozily:cosily plow:plough
plows:ploughs plowed:ploughed plowing:ploughing practiced:practised practicing:practising encyclopedia:encyclopaedia
woolen:woollen woolens:woollens pretense:pretence pretenses:pretences kilometers:kilometres centimeters:centimetres
"""
_ONE_WAY = """
metre:meter metres:meters licence:license licences:licenses practise:practice practises:practices programme:program
programmes:programs tyre:tire tyres:tires kerb:curb kerbs:curbs cheque:check cheques:checks
"""
"""British words with one American spelling, which is also a British word."""

_BEFORE_NOUNS = words("a an the my your his her our their its this that no any driving driver's fishing best good")
_BEFORE_VERBS = words("to will must should can could would may might i you we they not don't")
_NUMBERS = words(
    "one two three four five six seven eight nine ten hundred thousand million half square cubic per a few several"
)
_PROGRAMMES = words("tv television radio news training")
# American word → the words before it that decide, and the British spelling after them.
_DECIDED: Mapping[str, tuple[frozenset[str], str]] = {
    "license": (_BEFORE_NOUNS, "licence"),
    "practice": (_BEFORE_VERBS, "practise"),
    "meter": (frozenset({"square", "cubic", "per", "one"}), "metre"),
    "meters": (_NUMBERS, "metres"),
    "program": (_PROGRAMMES, "programme"),
    "programs": (_PROGRAMMES, "programmes"),
}


@lru_cache(maxsize=2)
def _table(american: bool) -> Mapping[str, str]:
    pairs = [entry.split(":") for entry in (PAIRS + _OURS).split()]
    if american:
        back = {british: word for word, british in pairs}
        return back | dict(entry.split(":") for entry in _ONE_WAY.split())
    return {entry[0]: entry[1] for entry in pairs}


def respell(items: Sequence[Item], locale: str | None, keep: Collection[str] = ()) -> tuple[Item, ...]:
    """*items* with English words in the spelling of *locale*, one of `LOCALES`; unchanged for any other.

    Words of *keep*, the custom vocabulary, stay as they are.
    """
    if locale not in LOCALES:
        return tuple(items)
    american = locale == "en-US"
    table = _table(american)
    own = {word.lower() for phrase in keep for word in phrase.split()}
    made: list[Item] = []
    opens, before = True, ""
    for item in items:
        if isinstance(item, Mark):
            opens = opens or item.ends_sentence
            made.append(item)
            continue
        stays = item.text.lower() in own
        if isinstance(item, Word) and not stays and (not item.text[:1].isupper() or opens or item.text.isupper()):
            made.append(_respelled(item, before, table, british=not american))
        else:
            made.append(item)
        opens, before = False, item.text.lower()
    return tuple(made)


def _respelled(word: Word, before: str, table: Mapping[str, str], *, british: bool) -> Word:
    plain, apostrophe, ending = word.text.replace("’", "'").partition("'")
    low = plain.lower()
    found = table.get(low)
    if british and low in _DECIDED:
        previous, spelling = _DECIDED[low]
        found = spelling if before in previous or (low == "meters" and before[-1:].isdecimal()) else None
    if found is None:
        return word
    cased = (
        found.upper() if plain.isupper() and len(plain) > 1 else found.capitalize() if plain[:1].isupper() else found
    )
    return replace(word, text=cased + word.text[len(plain) :] if apostrophe or ending else cased)
