"""The vocabulary of a CTC model, read from the files beside it: its letters, the blank, the delimiter between words.

`vocab.json` has the tokens with their numbers; `tokenizer_config.json` and `config.json` name the blank (as padding token)
and the word delimiter; `preprocessor_config.json` has the sample rate and the normalisation of the audio.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sottovoce.engines.models.catalogue import CTC_CONFIG, CTC_FEATURES, CTC_TOKENIZER, CTC_WORDS
from sottovoce.transcript.model import RATE

MAX_BYTES = 4 << 20
"""Limit of each of these files; the vocabularies of Chinese models have about 0.3 MB."""
MAX_TOKENS = 100_000
"""Limit of the tokens, and of their numbers."""

_BLANKS = ("<pad>", "[PAD]", "<blank>", "<blk>", "[BLANK]")
_DELIMITERS = ("|", "▁", " ")
_SPECIAL = re.compile(r"<[^<>]*>|\[[^\[\]]{2,}\]")  # <unk> [UNK] </s>
_APOSTROPHES = "'’ʼ＇"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """*text* in a vocabulary's letters, and *ids*: one output per letter.

    *whole*: True if the vocabulary has every letter, with or without accents.
    """

    text: str
    ids: tuple[int, ...]
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """*texts*: the lower-case text of each output that has one; *letters*: the outputs of single letters.

    *blank*: the output of CTC's blank; *delimiter*: the output between words, or None. *normalizes*: True if the model
    expects audio with mean 0 and variance 1. *top*: the highest output with a token; *size*: the number of tokens.
    """

    texts: Mapping[int, str]
    letters: Mapping[str, int]
    blank: int
    delimiter: int | None
    normalizes: bool
    top: int
    size: int

    def spelled(self, token: str) -> Spelling:
        """Spell *token* in the vocabulary's letters; a letter that is missing is replaced by its base letter or left out."""
        text: list[str] = []
        whole = True
        for letter in unicodedata.normalize("NFC", token.lower()):
            found = next((way for way in _ways(letter) if way and all(each in self.letters for each in way)), ())
            text += found
            whole = whole and (bool(found) or letter in _APOSTROPHES)
        return Spelling(text="".join(text), ids=tuple(self.letters[letter] for letter in text), whole=whole)


def _ways(letter: str) -> Iterable[Sequence[str]]:
    """Yield spellings of a lower-case *letter*, the closest first: itself, decomposed, case-folded, without accents."""
    yield (letter,)
    if letter in _APOSTROPHES:
        yield from _APOSTROPHES
        return
    parts = unicodedata.normalize("NFD", letter)
    yield tuple(parts)
    yield tuple(letter.casefold())
    yield tuple(part for part in unicodedata.normalize("NFKD", letter).casefold() if not unicodedata.combining(part))


def read_vocabulary(folder: Path) -> Vocabulary:
    """Return the vocabulary of the model in *folder*.

    Raises ValueError for invalid files, with a message for the operator; OSError for files that cannot be read.
    """
    ids = _tokens(_json(folder / CTC_WORDS))
    tokenizer, config = _table(folder / CTC_TOKENIZER), _table(folder / CTC_CONFIG)
    features = _table(folder / CTC_FEATURES)
    rate = features.get("sampling_rate", RATE)
    if rate != RATE:
        raise ValueError(f"{CTC_FEATURES} asks for audio of {rate!r:.20} Hz, but only {RATE} Hz is supported")
    blank = _blank(ids, tokenizer, config)
    named = _named(tokenizer.get("word_delimiter_token"))
    delimiter = next((ids[each] for each in (named, *_DELIMITERS) if each in ids and ids[each] != blank), None)
    texts = {
        number: unicodedata.normalize("NFC", token.lower())
        for token, number in ids.items()
        if number not in (blank, delimiter) and _says_something(token)
    }
    if not texts:
        raise ValueError(f"{CTC_WORDS} has no letters")
    return Vocabulary(
        texts=texts,
        letters=_letters(ids, texts),
        blank=blank,
        delimiter=delimiter,
        normalizes=features.get("do_normalize", True) is not False,
        top=max(ids.values()),
        size=len(ids),
    )


def _says_something(token: str) -> bool:
    """True for a token with text, False for blanks and special tokens."""
    return bool(token.strip()) and token.isprintable() and not _SPECIAL.fullmatch(token)


def _letters(ids: Mapping[str, int], texts: Mapping[int, str]) -> dict[str, int]:
    """Return the output of each letter; of the lower-case one where a vocabulary has both cases."""
    found = {text: number for number, text in texts.items() if len(text) == 1}
    return found | {token: ids[token] for token in found if token in ids and ids[token] in texts}


def _blank(ids: Mapping[str, int], tokenizer: Mapping[str, object], config: Mapping[str, object]) -> int:
    named = next((ids[each] for each in (_named(tokenizer.get("pad_token")), *_BLANKS) if each in ids), None)
    blank = config.get("pad_token_id") if named is None else named
    if isinstance(blank, bool) or not isinstance(blank, int) or not 0 <= blank < MAX_TOKENS:
        raise ValueError(f"the blank token is not named: {CTC_TOKENIZER} should name it as pad_token")
    return blank


def _named(token: object) -> str:
    """Return a token from a configuration, where it is a string or an object with `content`; empty for anything else."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def _tokens(table: object) -> dict[str, int]:
    if not isinstance(table, dict) or not table or len(table) > MAX_TOKENS:
        raise ValueError(f"{CTC_WORDS} is not a table of 1 to {MAX_TOKENS} tokens and their numbers")
    for number in table.values():
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < MAX_TOKENS:
            raise ValueError(f"{CTC_WORDS} has a token whose number is not an integer from 0 to {MAX_TOKENS - 1}")
    if len(set(table.values())) < len(table):
        raise ValueError(f"{CTC_WORDS} gives the same number to more than one token")
    return table


def _table(file: Path) -> Mapping[str, object]:
    """Return the JSON object in the configuration *file*; an empty one if the file is missing."""
    found = _json(file) if file.is_file() else {}
    if not isinstance(found, dict):
        raise ValueError(f"{file.name} is not a JSON object")  # noqa: TRY004 - a file's content, not an argument's type
    return found


def _json(file: Path) -> object:
    with file.open("rb") as opened:
        text = opened.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ValueError(f"{file.name} is too large")
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        twice = f": {error}" if isinstance(error, _Twice) else ""
        raise ValueError(f"{file.name} is not valid JSON{twice}") from error


class _Twice(ValueError):
    """A JSON object has the same name twice; which one counts differs between parsers."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice("an object has the same name twice")
    return found
