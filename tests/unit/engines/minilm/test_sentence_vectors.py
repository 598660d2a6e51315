"""The encoder: our graph computes what the weights say, whatever the batch; damaged files are told."""

import math

import numpy as np
import pytest

from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.minilm.sentence_vectors import EncoderVectors
from sottovoce.errors import EngineUnavailable
from sottovoce.intelligence.stages import StageName
from tests import tiny_encoder
from tests.tiny_encoder import HEADS, HIDDEN, LAYERS

TEXTS = [
    "The bank rates.",
    "goal",
    "the team, the goal, the soup and everything else that is not known",
    "The bank rates.",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_encoder.build(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def vectors(folder):
    return EncoderVectors(folder, frozenset({"en"}), device="cpu", threads=1)


def by_numpy(ids):
    """The network in plain numpy (Devlin et al. 2018), mean pooled."""
    get = tiny_encoder.weights().__getitem__

    def norm(value, name):
        centred = value - value.mean(-1, keepdims=True)
        return centred / np.sqrt(value.var(-1, keepdims=True) + 1e-12) * get(f"{name}.weight") + get(f"{name}.bias")

    def linear(value, name):
        return value @ get(f"{name}.weight").T + get(f"{name}.bias")

    def heads(value):
        return value.reshape(len(ids), HEADS, HIDDEN // HEADS).transpose(1, 0, 2)

    value = get("embeddings.word_embeddings.weight")[ids] + get("embeddings.position_embeddings.weight")[: len(ids)]
    value = norm(value + get("embeddings.token_type_embeddings.weight")[0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        query, key, content = (
            heads(linear(value, f"{name}.attention.self.{part}")) for part in ("query", "key", "value")
        )
        scores = np.exp(query @ key.transpose(0, 2, 1) / math.sqrt(HIDDEN // HEADS))
        seen = (scores / scores.sum(-1, keepdims=True) @ content).transpose(1, 0, 2).reshape(len(ids), HIDDEN)
        value = norm(value + linear(seen, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        inner = linear(value, f"{name}.intermediate.dense")
        inner = 0.5 * inner * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        value = norm(value + linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    mean = value.mean(0)
    return mean / np.linalg.norm(mean)


def test_the_graph_computes_what_the_weights_say(vectors, folder):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found = vectors.vectors(TEXTS, lambda: None)
    wanted = np.array([by_numpy(tokenizer.encode(text).ids) for text in TEXTS])
    assert np.allclose(found, wanted, atol=1e-4)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_a_sign_of_life_comes_with_each_batch_and_nothing_is_computed_twice(folder):
    signs: list[int] = []
    fresh = EncoderVectors(folder, frozenset({"en"}), device="cpu", threads=1)
    texts = [f"the bank {'goal ' * number}" for number in range(40)]
    first = fresh.vectors(texts, lambda: signs.append(1))
    assert len(signs) == 3  # 40 texts, 16 a batch
    assert np.array_equal(first, fresh.vectors(texts, lambda: signs.append(1)))
    assert len(signs) == 3


def test_the_operators_own_model_gives_topics_and_chapters(folder):
    engine_config = EngineConfig(models=folder.parent)
    entries = [entry for entry in registry.offered(engine_config) if entry.engine == "minilm"]
    assert [(entry.model, entry.languages, entry.skills) for entry in entries] == [
        ("tiny", {"en"}, {StageName.TOPICS}),
        ("tiny", {"en"}, {StageName.CHAPTERS}),
    ]
    backend = registry.load(StageName.TOPICS, EngineKey(engine="minilm", model="tiny"), engine_config)
    assert len(backend.assign([["The bank."], ["A goal."]], ["Sports", "soup"], lambda: None)) == 2


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b'{"model_type": "gpt2"}'),
        ("model.safetensors", b"\xff" * 64),
        ("model.safetensors", b"\x02\0\0\0\0\0\0\0{}"),
    ],
)
def test_a_model_that_cannot_be_used_is_told(tmp_path, file, content):
    folder = tiny_encoder.build(tmp_path / "tiny")
    (folder / file).write_bytes(content)
    with pytest.raises(EngineUnavailable):
        registry.load(StageName.CHAPTERS, EngineKey(engine="minilm", model="tiny"), EngineConfig(models=tmp_path))
