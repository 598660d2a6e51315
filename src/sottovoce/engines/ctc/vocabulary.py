"""What the outputs of a CTC model mean, from the files beside it: letters, the blank, what stands between words.

`vocab.json` has the tokens by number; `tokenizer_config.json` and `config.json` say which of them is the blank (there it is
called padding) and which one separates words, `preprocessor_config.json` how audio is brought to the model.
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
"""Of one of these files; the vocabularies of Chinese models have about 0.3 MB."""
MAX_TOKENS = 100_000

_BLANKS = ("<pad>", "[PAD]", "<blank>", "<blk>", "[BLANK]")
_DELIMITERS = ("|", "▁", " ")
_SPECIAL = re.compile(r"<[^<>]*>|\[[^\[\]]{2,}\]")  # <unk> [UNK] </s>
_APOSTROPHES = "'’ʼ＇"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """*text* as a vocabulary has it, and its outputs, one a letter. *whole* if it has every letter, with accents or without."""

    text: str
    ids: tuple[int, ...]
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """*texts*: what each output says, lower case, of those that say something; *letters*: the outputs of single letters.

    *blank* is CTC's, *delimiter* the output between words, where there is one. *normalizes*: audio wants a mean of zero and
    a variance of one. *top* is the highest output that has a name, whatever it stands for; *size* counts the names.
    """

    texts: Mapping[int, str]
    letters: Mapping[str, int]
    blank: int
    delimiter: int | None
    normalizes: bool
    top: int
    size: int

    def spelled(self, token: str) -> Spelling:
        """*token* in the letters that there are; what is missing is taken without its accents, or left out."""
        text: list[str] = []
        whole = True
        for letter in unicodedata.normalize("NFC", token.lower()):
            found = next((way for way in _ways(letter) if way and all(each in self.letters for each in way)), ())
            text += found
            whole = whole and (bool(found) or letter in _APOSTROPHES)
        return Spelling(text="".join(text), ids=tuple(self.letters[letter] for letter in text), whole=whole)


def _ways(letter: str) -> Iterable[Sequence[str]]:
    """What can stand for a lower-case *letter*, the nearest first: itself, its parts, another case, its base alone."""
    yield (letter,)
    if letter in _APOSTROPHES:
        yield from _APOSTROPHES
        return
    parts = unicodedata.normalize("NFD", letter)
    yield tuple(parts)
    yield tuple(letter.casefold())
    yield tuple(part for part in unicodedata.normalize("NFKD", letter).casefold() if not unicodedata.combining(part))


def read_vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of the model in *folder*.

    Raises ValueError, in words for the operator, for files that are none or say what cannot be; OSError.
    """
    ids = _tokens(_json(folder / CTC_WORDS))
    tokenizer, config = _table(folder / CTC_TOKENIZER), _table(folder / CTC_CONFIG)
    features = _table(folder / CTC_FEATURES)
    rate = features.get("sampling_rate", RATE)
    if rate != RATE:
        raise ValueError(f"it hears audio of {rate!r:.20} Hz, and only {RATE} Hz can be given")
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
    return bool(token.strip()) and token.isprintable() and not _SPECIAL.fullmatch(token)


def _letters(ids: Mapping[str, int], texts: Mapping[int, str]) -> dict[str, int]:
    """The output of each letter; where a vocabulary has both cases, that of the lower one."""
    found = {text: number for number, text in texts.items() if len(text) == 1}
    return found | {token: ids[token] for token in found if token in ids and ids[token] in texts}


def _blank(ids: Mapping[str, int], tokenizer: Mapping[str, object], config: Mapping[str, object]) -> int:
    named = next((ids[each] for each in (_named(tokenizer.get("pad_token")), *_BLANKS) if each in ids), None)
    blank = config.get("pad_token_id") if named is None else named
    if isinstance(blank, bool) or not isinstance(blank, int) or not 0 <= blank < MAX_TOKENS:
        raise ValueError(f"nothing says which of its tokens is the blank: {CTC_TOKENIZER} should name the pad_token")
    return blank


def _named(token: object) -> str:
    """A token as it is named in a configuration, plainly or with its properties; empty for anything else."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else ""


def _tokens(table: object) -> dict[str, int]:
    if not isinstance(table, dict) or not table or len(table) > MAX_TOKENS:
        raise ValueError(f"{CTC_WORDS} is no table of 1 to {MAX_TOKENS} tokens and their numbers")
    for number in table.values():
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < MAX_TOKENS:
            raise ValueError(f"{CTC_WORDS} has a token with a number that no output can have")
    if len(set(table.values())) < len(table):
        raise ValueError(f"{CTC_WORDS} gives a number to more than one token")
    return table


def _table(file: Path) -> Mapping[str, object]:
    """What the configuration *file* says; nothing where it is not there."""
    found = _json(file) if file.is_file() else {}
    if not isinstance(found, dict):
        raise ValueError(f"{file.name} is no JSON object")  # noqa: TRY004 - a file's content, not an argument's type
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
        raise ValueError(f"{file.name} is no JSON that can be read{twice}") from error


class _Twice(ValueError):
    """A name that stands twice in one object: which one counts depends on the reader."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice("a name stands there twice")
    return found
