"""Moonshine's tokens: byte pairs as in SentencePiece, from the file `tokenizer.bin`.

The file holds the bytes of each token, in the order of their numbers, after their count: one byte, or two from 128 on. Blanks are
written `▁`. The numbers 3 to 258 are single bytes, for text that no other token covers; later tokens are in the order in which
byte pairs are merged, so text is divided again as the model's own tokenizer divides it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

START, END = 1, 2
"""The tokens at the start and end of a text."""

_BLANK = "▁"
_BYTES, _MERGED = 3, 259  # the first single byte, the first token after them
_CONTROL = b"<<"  # begins the names of tokens that have no text


class Tokenizer:
    """The tokens in the file at *path*. Raises ValueError for a file of another form, OSError."""

    def __init__(self, path: Path) -> None:
        self._tokens = _read(path.read_bytes())
        if len(self._tokens) <= _MERGED or self._tokens[_BYTES : _BYTES + 256] != [bytes([n]) for n in range(256)]:
            raise ValueError(f"{path.name} is not Moonshine's tokenizer")
        self._numbers: dict[bytes, int] = {}
        for number, token in enumerate(self._tokens[_MERGED:], start=_MERGED):
            if not token.startswith(_CONTROL):
                self._numbers.setdefault(token, number)

    def __len__(self) -> int:
        return len(self._tokens)

    def encode(self, text: str) -> list[int]:
        """The tokens of *text*, which begins with a blank if it begins with a word."""
        parts = [char.encode() for char in text.replace(" ", _BLANK)]
        while (best := self._first_merge(parts)) is not None:
            parts[best : best + 2] = [parts[best] + parts[best + 1]]
        return [token for part in parts for token in self._known(part)]

    def _first_merge(self, parts: Sequence[bytes]) -> int | None:
        """The place of the pair of *parts* that is merged first; None if no pair is a token."""
        found = [
            (number, place)
            for place in range(len(parts) - 1)
            if (number := self._numbers.get(parts[place] + parts[place + 1])) is not None
        ]
        return min(found)[1] if found else None

    def _known(self, part: bytes) -> Iterable[int]:
        number = self._numbers.get(part)
        return [_BYTES + each for each in part] if number is None else [number]

    def pieces(self, tokens: Sequence[int]) -> list[tuple[str, int]]:
        """The text of *tokens* in pieces, each with its number of tokens: a word with the blank before it, or a mark."""
        found: list[tuple[bytes, int]] = []
        for token in tokens:
            text = self._text(token)
            begins = text.startswith(_BLANK.encode()) or not found or _is_mark(text) or _is_mark(found[-1][0])
            if begins:
                found.append((text, 1))
            else:
                found[-1] = (found[-1][0] + text, found[-1][1] + 1)
        return [(text.decode("utf-8", "replace").replace(_BLANK, " "), count) for text, count in found]

    def text(self, tokens: Sequence[int]) -> str:
        """The text of *tokens*."""
        return b"".join(map(self._text, tokens)).decode("utf-8", "replace").replace(_BLANK, " ").strip()

    def _text(self, token: int) -> bytes:
        text = self._tokens[token] if _BYTES <= token < len(self._tokens) else b""
        return b"" if text.startswith(_CONTROL) else text


def _is_mark(text: bytes) -> bool:
    """True if *text* is one mark that ends a word or a sentence."""
    return text in (b".", b",", b"?", b"!", b";", b":")


def _read(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at < len(data):
        count = data[at]
        at += 1
        if count >= 128:  # noqa: PLR2004 - the flag of a second byte
            if at == len(data):
                raise ValueError("the tokenizer ends within a token")
            count += data[at] * 128 - 128
            at += 1
        found.append(data[at : at + count])
        at += count
    if at != len(data):
        raise ValueError("the tokenizer ends within a token")
    return found
