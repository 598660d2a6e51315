"""The pronunciation of a custom word in ARPAbet: from a dictionary, else from espeak-ng if installed, else by rule."""

import re
import shutil
import subprocess
from collections.abc import Callable
from functools import lru_cache

from sottovoce.engines.pocketsphinx import letter_to_sound

Phones = tuple[str, ...]
Lookup = Callable[[str], str | None]
"""Maps a lower-case word to its space-separated sounds, or None."""

MAX_WORDS = 6
"""Words of an entry; longer entries are left out silently (contract `batch-v2.md` §6.2)."""
MAX_LENGTH = 4_000
"""Characters of a word; longer ones are left out silently (contract `batch-v2.md` §6.2)."""
MAX_PHONES = 200
"""Limit of the sounds of one pronunciation; more than a speaker says in one breath."""

_ACRONYM = 5  # most letters of an acronym; a longer word in capitals is read as a word
_PATIENCE = 2.0  # seconds that espeak-ng may take for one word
_PART = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_IPA = {
    "tʃ": "CH", "dʒ": "JH", "aʊ": "AW", "aɪ": "AY", "eɪ": "EY", "oʊ": "OW", "ɔɪ": "OY", "ɑː": "AA", "ɔː": "AO",
    "ɜː": "ER", "iː": "IY", "uː": "UW", "ɒ": "AA", "æ": "AE", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɚ": "ER", "ɛ": "EH",
    "ɪ": "IH", "ᵻ": "IH", "i": "IY", "ʊ": "UH", "u": "UW", "ɔ": "AO", "ɑ": "AA", "a": "AE", "e": "EH", "o": "OW",
    "b": "B", "d": "D", "ð": "DH", "f": "F", "ɡ": "G", "g": "G", "h": "HH", "k": "K", "l": "L", "ɫ": "L", "m": "M",
    "n": "N", "ŋ": "NG", "p": "P", "ɹ": "R", "r": "R", "s": "S", "ʃ": "SH", "t": "T", "ɾ": "T", "θ": "TH", "v": "V",
    "w": "W", "j": "Y", "z": "Z", "ʒ": "ZH",
}  # fmt: skip


def parts(text: str) -> tuple[str, ...]:
    """Return the spoken parts of *text*: runs of letters and digits with their apostrophes, in the original case."""
    return tuple(_PART.findall(text))


def pronounce(text: str, lookup: Lookup) -> Phones:
    """Return the sounds of *text* (one word or a few); empty when it has no known sounds or exceeds a limit."""
    words = text.split()
    if len(words) > MAX_WORDS or any(len(word) > MAX_LENGTH for word in words):
        return ()
    sounds = tuple(phone for part in parts(text) for phone in _sounds(part, lookup))
    return sounds if len(sounds) <= MAX_PHONES else ()


def _sounds(part: str, lookup: Lookup) -> Phones:
    word = part.lower().replace("’", "'")
    if known := lookup(word):
        return tuple(known.split())
    runs = re.findall(r"\d|[^\d]+", word)
    if len(runs) > 1 or word.isdecimal():  # 4k, mp3, 1984: digits one by one
        return tuple(p for run in runs for p in (_digit(run, lookup) if run.isdecimal() else _sounds(run, lookup)))
    if _spelled(part):
        return tuple(p for letter in word for p in (lookup(f"{letter}.") or "").split())
    return _espeak(word, shutil.which("espeak-ng")) or letter_to_sound.pronounce(word)


def _digit(digit: str, lookup: Lookup) -> Phones:
    return tuple((lookup(_DIGITS[int(digit)]) or "").split())


def _spelled(part: str) -> bool:
    """True if a word outside the dictionary is spelled letter by letter: a few capitals, or no vowel."""
    return part.isascii() and ((part.isupper() and len(part) <= _ACRONYM) or not re.search("[aeiouy]", part.lower()))


@lru_cache(maxsize=4_096)
def _espeak(word: str, program: str | None) -> Phones:
    """Return the sounds by espeak-ng (Debian's program at path *program*); empty without it or on failure. 5–140 ms a word."""
    if program is None:
        return ()
    command = [program, "-q", "--ipa=1", "-v", "en-us", "--", word]
    try:
        said = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return ()
    return _arpabet(said.stdout.decode("utf-8", "replace"))


def _arpabet(ipa: str) -> Phones:
    """Convert IPA to ARPAbet, longest symbols first; stress, ties and sounds that English lacks are ignored."""
    ipa = re.sub("[ˈˌ_\u200d͡ ]", "", ipa)
    signs = re.findall("|".join(sorted(_IPA, key=len, reverse=True)), ipa)
    return tuple(_IPA[sign] for sign in signs)
