"""Functions that build the tables of languages from short texts."""

from collections.abc import Iterable, Mapping

from sottovoce.transcript.entities.locale import Currency, Phrases, Words, words


def listed(text: str) -> list[str]:
    """The words of *text* in order."""
    return text.split()


def tens(text: str, start: int = 20) -> dict[str, int]:
    """The words of *text* as 20, 30, 40 …"""
    return {name: start + 10 * nth for nth, name in enumerate(text.split())}


def numbered(text: str, start: int = 0) -> dict[str, int]:
    """The words of *text* numbered from *start*; alternatives are separated by `/`."""
    return {name: start + nth for nth, names in enumerate(text.split()) for name in names.split("/")}


def table(text: str) -> dict[str, str]:
    """`key = value` entries separated by `;`; several keys are separated by `,`."""
    found: dict[str, str] = {}
    for entry in filter(str.strip, text.replace("\n", " ").split(";")):
        keys, _, value = entry.strip(" ").partition(" = ")
        found.update({" ".join(key.split()): value for key in keys.split(",")})
    return found


def phrases(text: str) -> Phrases[str]:
    """Like `table`, with keys of several words."""
    return Phrases({tuple(key.split()): value for key, value in table(text).items()})


def currencies(text: str) -> Phrases[Currency]:
    """Like `phrases`, with currency signs as values."""
    return Phrases({tuple(key.split()): Currency(sign=value) for key, value in table(text).items()})


def single(names: Mapping[str, int]) -> dict[Words, int]:
    """*names* as phrases of one word each; names with blanks become several words."""
    return {tuple(name.split()): value for name, value in names.items()}


def units(text: str, prefixes: Mapping[str, str], prefixed: Iterable[str]) -> Phrases[str]:
    """Units of *text*, a `table`, and those whose symbol is in *prefixed* with every one of *prefixes*."""
    plain = table(text)
    takes = frozenset(prefixed)
    found = {tuple(name.split()): symbol for name, symbol in plain.items()}
    for name, symbol in plain.items():
        if symbol in takes:
            head, *rest = name.split()
            found.update({(prefix + head, *rest): letter + symbol for prefix, letter in prefixes.items()})
    return Phrases(found)


__all__ = ["currencies", "listed", "numbered", "phrases", "single", "table", "tens", "units", "words"]
