"""Texts to the pieces of a translation model and back, with the package `tokenizers`, which Whisper needs as well.

A SentencePiece model of the kind unigram is read here, since OPUS-MT has no other form: its file is a protobuf message
(`sentencepiece_model.proto`: pieces in field 1, the trainer's settings in 2, the normaliser's in 3).
"""

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

SPACE = "▁"
CONTROL = frozenset({"<s>", "</s>", "<pad>", "<unk>"})
_UNIGRAM, _UNKNOWN = 1, 2
_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3
"""Fields of the message."""
_LONGEST_NUMBER, _MORE = 63, 0x80
"""Bits of a number, and the bit of a byte that another one follows."""
_MODELS = ("source.spm", "spiece.model", "sentencepiece.model", "sentencepiece.bpe.model")


class _Encoding(Protocol):
    @property
    def tokens(self) -> list[str]: ...


class Pieces:
    """The tokenizer of a model in *folder*. Raises ValueError for a file that is not one."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        # OPUS-MT has two, and only the one of the source reads text: of the target's pieces, only the text is needed
        file = next((folder / name for name in _MODELS if (folder / name).is_file()), None)
        whole = folder / "tokenizer.json"
        if whole.is_file() and not (folder / "source.spm").is_file():
            self._tokenizer: Any = Tokenizer.from_file(str(whole))
        elif file is not None:
            self._tokenizer = unigram(file.read_bytes())
        else:
            raise ValueError("the folder has no tokenizer")

    def encode(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each text."""
        found: list[_Encoding] = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [list(each.tokens) for each in found]


def text_of(pieces: Sequence[str], control: Container[str] = ()) -> str:
    """Return the text of *pieces*, without control tokens, of which *control* are those of the model."""
    kept = (piece for piece in pieces if piece not in CONTROL and piece not in control)
    return "".join(kept).replace(SPACE, " ").strip()


def unigram(data: bytes) -> Any:
    """Return the `tokenizers.Tokenizer` of the SentencePiece model *data*. Raises ValueError."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary: list[tuple[str, float]] = []
    kind: int | bytes = _UNIGRAM
    unknown, charsmap = 0, b""
    for field, value in _fields(data):
        if field == _PIECES:
            piece = dict(_fields(_bytes(value)))
            unknown = len(vocabulary) if piece.get(3) == _UNKNOWN else unknown
            vocabulary.append((_bytes(piece.get(1, b"")).decode(), _float(piece.get(2, b"\0\0\0\0"))))
        elif field == _TRAINER:
            kind = dict(_fields(_bytes(value))).get(3, _UNIGRAM)
        elif field == _NORMALIZER:
            charsmap = _bytes(dict(_fields(_bytes(value))).get(2, b""))
    if not vocabulary or kind != _UNIGRAM:
        raise ValueError("a SentencePiece model of another kind than unigram: the folder needs its tokenizer.json")
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=unknown))
    steps: list[Any] = [normalizers.Precompiled(charsmap)] if charsmap else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Strip(), _single_spaces()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    return tokenizer


def _single_spaces() -> Any:
    from tokenizers import Regex, normalizers

    return normalizers.Replace(Regex(" {2,}"), " ")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a protobuf message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
                continue
            case 1 | 5 as wire:
                length = 8 if wire == 1 else 4
            case 2:
                length, at = _varint(data, at)
            case wire:
                raise ValueError(f"not a SentencePiece model: wire type {wire}")
        if at + length > len(data):
            raise ValueError("not a SentencePiece model: it ends too early")
        yield tag >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift <= _LONGEST_NUMBER:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < _MORE:
            return value, at
    raise ValueError("not a SentencePiece model: a number without an end")


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("not a SentencePiece model: a number in place of bytes")  # noqa: TRY004 - one error for bad data
    return value


def _float(value: int | bytes) -> float:
    import struct

    (number,) = struct.unpack("<f", _bytes(value))
    return float(number)
