"""A translation model with random weights, made inside a test in CTranslate2's form: real runtime, nonsense text.

Its tokenizer is `tokenizer.json`, or a SentencePiece file of the kind unigram written byte by byte.
"""

import struct
from pathlib import Path

import numpy as np

from tests.tiny_whisper import Weights

WORDS = ("▁hello", "▁world", "▁the", "▁sun", "▁room", ".", ",", "▁")
CONTROL = ("<unk>", "</s>")


def build(folder: Path, *, control: tuple[str, ...] = (), spm: bool = False, seed: int = 0) -> Path:
    """Write a model to *folder*, created if missing, whose vocabulary has *control* tokens beside its words; return *folder*."""
    from ctranslate2 import specs

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = [*CONTROL, *control, *WORDS]
    spec = specs.TransformerSpec.from_config(1, 1)
    weights = Weights(np.random.default_rng(seed))
    weights.text_encoder(spec.encoder, len(vocabulary))
    weights.decoder(spec.decoder, len(vocabulary))
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.config.decoder_start_token = "</s>"
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(str(folder))
    if spm:
        (folder / "source.spm").write_bytes(sentencepiece(WORDS))
    else:
        tokenizer(folder / "tokenizer.json")
    return folder


def tokenizer(path: Path) -> None:
    """Write a tokenizer of `WORDS`."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.Unigram([("<unk>", 0.0), *((word, -1.0) for word in WORDS)], unk_id=0))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.save(str(path))


def sentencepiece(words: tuple[str, ...], kind: int = 1) -> bytes:
    """The file of a SentencePiece model of *words*; *kind*: 1 for unigram, 2 for BPE."""
    pieces = b"".join(
        _message(1, _message(1, word.encode()) + b"\x15" + struct.pack("<f", score) + bytes([0x18, number]))
        for word, score, number in [("<unk>", 0.0, 2), *((word, -1.0, 1) for word in words)]
    )
    return pieces + _message(2, bytes([0x18, kind])) + _message(3, b"")


def _message(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2, len(content)]) + content
