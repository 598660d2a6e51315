"""A Whisper of random weights, made inside a test: it needs no download and no training library.

It writes about *length* tokens of words and marks of a small vocabulary, and ends. The audio affects the words and the
likely language, so that tests notice mixed-up audio. It serves for shapes, order and times only.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

WORDS = ("the", "a", "one", "two", "room", "night", "water", "hello", "think", "people", "paper", "music", "25", "Anna")
MARKS = (".", ",", "?")

_MULTILINGUAL = ""  # a vocabulary with this token makes CTranslate2 take a model for a multilingual one
_STAMPS = 1_501
_TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
_MELS = 80
_WIDTH = 32
_HEADS = 1
_PLACES = 448
_PROMPT = 4  # tokens before the first word: start, language, task, no time stamps


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiny:
    """The model to make. *length*: tokens after which it ends, 0 = it never ends by itself; *without* languages."""

    multilingual: bool = True
    without: frozenset[str] = frozenset()
    length: int = 24
    seed: int = 0


def build(folder: Path, tiny: Tiny | None = None) -> Path:
    """Write the files of a model to *folder*, created if missing; return *folder*."""
    from ctranslate2.specs import whisper_spec

    tiny = tiny or Tiny()
    folder.mkdir(parents=True, exist_ok=True)
    languages = tuple(code for code in _languages() if tiny.multilingual and code not in tiny.without)
    vocabulary = _vocabulary(languages, folder / "tokenizer.json")
    spec = whisper_spec.WhisperSpec(1, _HEADS, 1, _HEADS)
    weights = Weights(np.random.default_rng(tiny.seed))
    weights.encoder(spec.encoder)
    weights.decoder(spec.decoder, len(vocabulary))
    _incline(spec.decoder, tiny, vocabulary, languages)
    spec.register_vocabulary(list(vocabulary))
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [vocabulary["<|endoftext|>"]]
    spec.config.lang_ids = [vocabulary[f"<|{code}|>"] for code in languages]
    spec.config.alignment_heads = [(0, head) for head in range(_HEADS)]
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(str(folder))
    extractor = {"feature_size": _MELS, "sampling_rate": 16_000, "hop_length": 160, "chunk_length": 30, "n_fft": 400}
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor), encoding="utf-8")
    return folder


def _languages() -> tuple[str, ...]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    return tuple(_LANGUAGE_CODES)


def _vocabulary(languages: tuple[str, ...], path: Path) -> dict[str, int]:
    """The numbers of the tokens (bytes, words, then Whisper's control tokens); writes the tokenizer to *path*."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    control = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{name}|>" for name in (*languages, *_TASKS))]
    plain = sorted(pre_tokenizers.ByteLevel.alphabet()) + ["Ġ" + word for word in WORDS]
    plain += [_MULTILINGUAL] * bool(languages)
    tokenizer = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(plain)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    stamps = [f"<|{number * 0.02:.2f}|>" for number in range(_STAMPS)]
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in stamps])
    tokenizer.save(str(path))
    return {token: number for number, token in enumerate((*plain, *control, *stamps))}


def _incline(decoder: Any, tiny: Tiny, vocabulary: dict[str, int], languages: tuple[str, ...]) -> None:
    """Make words and marks likely, languages where one is requested, and the end after *length* tokens.

    Number 0 of the state counts the tokens, number 1 tells the beginning from all other places.
    """
    weight, embeddings = decoder.projection.weight, decoder.embeddings.weight
    places = decoder.position_encodings.encodings
    spoken = [vocabulary[f"<|{code}|>"] for code in languages]
    bias = np.full(len(vocabulary), -60.0, np.float32)
    bias[[vocabulary["Ġ" + word] for word in WORDS]] = 0.0
    bias[[vocabulary[mark] for mark in MARKS]] = 1.0
    bias[[vocabulary["<|nospeech|>"], vocabulary["<|endoftext|>"]]] = -2.0
    decoder.projection.bias = bias
    weight[:, :2] = embeddings[:, :2] = places[:, :2] = 0.0
    weight[spoken, 1] = 30.0
    embeddings[vocabulary["<|startoftranscript|>"], 1] = 12.0
    weight[vocabulary["<|endoftext|>"]] = 0.0
    weight[vocabulary["<|endoftext|>"], 0] = 12.0
    ends = tiny.length + _PROMPT if tiny.length else 10 * _PLACES
    places[:, 0] = np.clip((np.arange(_PLACES) - ends) / 2, -3.0, 3.0)


@dataclass(frozen=True, slots=True)
class Weights:
    """Random numbers for every place of the specification."""

    random: np.random.Generator

    def text_encoder(self, spec: Any, tokens: int) -> None:
        """The encoder of a translation model."""
        spec.embeddings[0].weight = self._normal(tokens, _WIDTH, scale=1.0)
        spec.position_encodings.encodings = self._normal(_PLACES, _WIDTH, scale=0.3)
        for layer in spec.layer:
            self._attention(layer.self_attention, 3, 1)
            self._feed_forward(layer.ffn)
        self._norm(spec.layer_norm)

    def encoder(self, spec: Any) -> None:
        for conv, width in ((spec.conv1, _MELS), (spec.conv2, _WIDTH)):
            conv.weight, conv.bias = self._normal(_WIDTH, width, 3, scale=0.3), np.zeros(_WIDTH, np.float32)
        spec.position_encodings.encodings = self._normal(1_500, _WIDTH, scale=0.3)
        for layer in spec.layer:
            self._attention(layer.self_attention, 3, 1)
            self._feed_forward(layer.ffn)
        self._norm(spec.layer_norm)

    def decoder(self, spec: Any, tokens: int) -> None:
        spec.embeddings.weight = self._normal(tokens, _WIDTH, scale=1.0)
        spec.position_encodings.encodings = self._normal(_PLACES, _WIDTH, scale=2.0)
        spec.projection.weight = self._normal(tokens, _WIDTH, scale=0.6)
        for layer in spec.layer:
            self._attention(layer.self_attention, 3, 1)
            self._attention(layer.attention, 1, 2, 1)
            self._feed_forward(layer.ffn)
        self._norm(spec.layer_norm)

    def _normal(self, *shape: int, scale: float) -> Any:
        return self.random.normal(0, scale, shape).astype(np.float32)

    def _norm(self, spec: Any) -> None:
        spec.gamma, spec.beta = np.ones(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)

    def _linear(self, spec: Any, outputs: int, inputs: int) -> None:
        spec.weight = self._normal(outputs, inputs, scale=inputs**-0.5)
        spec.bias = np.zeros(outputs, np.float32)

    def _attention(self, spec: Any, *widths: int) -> None:
        """Projections to a multiple of the width; the last one back to the width."""
        self._norm(spec.layer_norm)
        for linear, times in zip(spec.linear, (*widths, 1)[: len(spec.linear)], strict=True):
            self._linear(linear, times * _WIDTH, _WIDTH)

    def _feed_forward(self, spec: Any) -> None:
        self._norm(spec.layer_norm)
        self._linear(spec.linear_0, 2 * _WIDTH, _WIDTH)
        self._linear(spec.linear_1, _WIDTH, 2 * _WIDTH)
