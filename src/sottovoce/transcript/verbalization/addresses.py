"""The English spoken forms of web and mail addresses: `www.example.com/a` → w w w dot example dot com slash a."""

import re
from collections.abc import Sequence

from sottovoce.transcript.verbalization import numbers
from sottovoce.transcript.verbalization.tables import IN_ADDRESSES, SPELLED
from sottovoce.transcript.verbalization.variants import Way, joined, tokens

ADDRESS = re.compile(
    r"(?:https?|ftp)://\S+ | www\.\S+ | [\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"| [\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|info|io|tv|ai|co\.uk|ac\.uk|org\.uk|uk|de|eu|fr)(?:[/?\#]\S*)?",
    re.VERBOSE | re.IGNORECASE,
)
"""An address: it has a scheme, `www.`, an at sign between names, or a top-level domain."""

_SCHEME = re.compile(r"(https?|ftp)://", re.IGNORECASE)
_SCAN = re.compile(r"(\d+)|([^\W\d_]+)|(.)", re.DOTALL)


def address(text: str) -> Sequence[Way]:
    """The spoken forms of an address, first those without the scheme, which few people say."""
    scheme = _SCHEME.match(text)
    rest = text[scheme.end() :] if scheme else text
    said = joined(_part(*match.groups()) for match in _SCAN.finditer(rest.rstrip("/") or rest))
    if not scheme:
        return said
    named = joined(_part(*match.groups()) for match in _SCAN.finditer(scheme[0]))
    return [*said[:3], *((*named[0], *way) for way in said[:2])]


def _part(digits: str | None, letters: str | None, sign: str | None) -> Sequence[Way]:
    if digits:
        return numbers.english(digits)[:3]
    if letters:
        word = tokens(letters)
        spelled = tuple(letters.lower())
        return (spelled, word) if letters.lower() in SPELLED else (word,)
    return IN_ADDRESSES.get(sign or "", ())
