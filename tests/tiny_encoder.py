"""A BERT encoder with random weights for tests: real files and a real network, whose vectors mean nothing.

And `WordVectors`, a deterministic `SentenceVectors`: texts with the same words have similar vectors.
"""

import hashlib
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sottovoce.intelligence.backends.builtin.salience import terms

HIDDEN, LAYERS, HEADS, POSITIONS = 16, 2, 2, 64
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "bank", "rate", "goal", "team", "soup", "##s", ".", ",")


def weights(seed: int = 1) -> dict[str, np.ndarray]:
    """The tensors by their names in the file."""
    rng = np.random.default_rng(seed)

    def some(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.4, shape).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": some(len(WORDS), HIDDEN),
        "embeddings.position_embeddings.weight": some(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": some(2, HIDDEN),
        "embeddings.LayerNorm.weight": some(HIDDEN),
        "embeddings.LayerNorm.bias": some(HIDDEN),
    }
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        for part, shape in (
            ("attention.self.query", (HIDDEN, HIDDEN)),
            ("attention.self.key", (HIDDEN, HIDDEN)),
            ("attention.self.value", (HIDDEN, HIDDEN)),
            ("attention.output.dense", (HIDDEN, HIDDEN)),
            ("intermediate.dense", (4 * HIDDEN, HIDDEN)),
            ("output.dense", (HIDDEN, 4 * HIDDEN)),
        ):
            found[f"{name}.{part}.weight"], found[f"{name}.{part}.bias"] = some(*shape), some(shape[0])
        for part in ("attention.output", "output"):
            found[f"{name}.{part}.LayerNorm.weight"] = some(HIDDEN)
            found[f"{name}.{part}.LayerNorm.bias"] = some(HIDDEN)
    return found


def build(folder: Path, languages: Sequence[str] = ("en",)) -> Path:
    """Write the model to *folder* as an operator's own model for *languages*, and return *folder*."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    folder.mkdir(parents=True, exist_ok=True)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, tensor in weights().items():
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [len(body), len(body) + tensor.nbytes]}
        body += tensor.tobytes()
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
    config = {
        "model_type": "bert", "hidden_act": "gelu", "hidden_size": HIDDEN, "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS, "max_position_embeddings": POSITIONS, "layer_norm_eps": 1e-12,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer(models.WordPiece({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "sottovoce.json").write_text(json.dumps({"languages": list(languages)}))
    return folder


class WordVectors:
    """Each word has a direction of its own; a text is the sum of its words."""

    languages = frozenset({"en"})

    def vectors(self, texts: Sequence[str], alive: Callable[[], None]) -> np.ndarray:
        """One row of length 1 for each text."""
        alive()
        rows = [sum((_direction(word) for word in terms(text)), np.full(64, 1e-3, np.float32)) for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], np.float32).reshape(len(rows), 64)


def _direction(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
    return np.random.default_rng(seed).normal(0, 1, 64).astype(np.float32)
