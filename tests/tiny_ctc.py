"""A CTC model that recognises tones as letters, written with ONNX alone: no torch, no download.

Every token but the special ones has a frequency. A bank of filters measures the share of each in a frame; a tone that fills
most of a frame is nearly certain there, and silence is the blank. So synthetic audio can contain words at exactly known
times, and a real network gives the real structure (blanks, repeated letters, pauses, words between).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

RATE = 16_000
HOP = 320
"""Samples of a frame, 20 ms as wav2vec2 has it."""
KERNEL = 400
TONE, REST = 0.08, 0.04
"""Seconds of a letter, and of the silence behind it."""
LOUD = 0.5

ENGLISH = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
"""The tokens of wav2vec2-base-960h, in its order."""

_SILENT = frozenset({"<pad>", "[PAD]", "<s>", "</s>", "<unk>", "[UNK]"})
_OPSET = 18
_FLOAT = TensorProto.FLOAT


def frequency(number: int) -> float:
    """The frequency of the token *number* in Hz: whole periods in a filter, so that tones do not leak into each other."""
    return RATE / KERNEL * (10 + 3 * number)


def build(
    folder: Path,
    tokens: Sequence[str] = ENGLISH,
    *,
    hop: int = HOP,
    file: str = "model.onnx",
    outputs: int | None = None,
    mask: bool = False,
    flat: bool = False,
    tokenizer: Mapping[str, object] | None = None,
    features: Mapping[str, object] | None = None,
) -> Path:
    """Write a model to *folder* and return *folder*. *outputs* of the network, default one per token. *mask*: it takes a mask too.

    *flat*: it answers without the dimension of frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = outputs or len(tokens)
    time = np.arange(KERNEL) / RATE
    bank = np.zeros((2 * count, 1, KERNEL), np.float32)
    sums = np.zeros((2 * count, count), np.float32)
    silence = np.full(count, -20.0, np.float32)
    for number, token in enumerate(tokens[:count]):
        sums[2 * number : 2 * number + 2, number] = 0.0 if token in _SILENT else 20.0
        silence[number] = 10.0 if number == _blank(tokens) else -20.0 if token in _SILENT else 0.0
        for part, wave in enumerate((np.cos, np.sin)):
            bank[2 * number + part, 0] = wave(2 * np.pi * frequency(number) * time) * 2 / KERNEL / LOUD
    audio = "masked" if mask else "input_values"
    masking = [
        helper.make_node("Cast", ["attention_mask"], ["weights"], to=_FLOAT),
        helper.make_node("Mul", ["input_values", "weights"], ["masked"]),
    ]
    nodes = [
        *(masking if mask else []),
        helper.make_node("Unsqueeze", [audio, "one"], ["channel"]),  # [1, 1, n]
        helper.make_node("Conv", ["channel", "bank"], ["parts"], strides=[hop]),  # [1, 2V, T]
        helper.make_node("Mul", ["parts", "parts"], ["powers"]),
        helper.make_node("Transpose", ["powers"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["frames", "sums"], ["loud"]),  # [1, T, V]
        helper.make_node("Clip", ["loud", "", "most"], ["clipped"]),
        helper.make_node("Add", ["clipped", "silence"], ["flat" if flat else "logits"]),
    ]
    weights = {
        "bank": bank,
        "sums": sums,
        "silence": silence,
        "one": np.array([1]),
        "most": np.array(20.0, np.float32),
    }
    inputs = [helper.make_tensor_value_info("input_values", _FLOAT, [1, "n"])]
    if mask:
        inputs.append(helper.make_tensor_value_info("attention_mask", TensorProto.INT64, [1, "n"]))
    if flat:
        nodes.append(helper.make_node("ReduceMean", ["flat", "one"], ["logits"], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        [helper.make_tensor_value_info("logits", _FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
    (folder / file).write_bytes(model.SerializeToString())
    _write(folder / "vocab.json", {token: number for number, token in enumerate(tokens)})
    _write(folder / "tokenizer_config.json", tokenizer or {})
    _write(folder / "config.json", {"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"]})
    _write(folder / "preprocessor_config.json", {"do_normalize": False, "sampling_rate": RATE} | dict(features or {}))
    return folder


def _blank(tokens: Sequence[str]) -> int:
    return next(number for number, token in enumerate(tokens) if token in {"<pad>", "[PAD]"})


def _write(file: Path, content: Mapping[str, object]) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")


class Tape:
    """Synthetic audio of *seconds* to which words are added, for a model of *tokens*."""

    def __init__(self, seconds: float, tokens: Sequence[str] = ENGLISH, *, noise: float = 0.001) -> None:
        self.audio = np.random.default_rng(1).normal(0, noise, round(seconds * RATE)).astype(np.float32)
        self._tokens = {token: number for number, token in enumerate(tokens)}

    def say(self, word: str, at: float) -> tuple[int, int]:
        """Add *word* at *at* seconds, then the end-of-word token if there is one; return its samples, end exclusive."""
        start = end = round(at * RATE)
        for letter in word:
            end = self._tone(letter, at)
            at += TONE + REST
        if "|" in self._tokens:
            self._tone("|", at)
        return start, end

    def read(self, text: str, at: float = 0.5, pause: float = 0.2) -> list[tuple[int, int]]:
        """Add all words of *text* with *pause* seconds between them; return start and end of each."""
        times = []
        for word in text.split():
            times.append(self.say(word, at))
            at += length(word) + pause
        return times

    def _tone(self, letter: str, at: float) -> int:
        number = self._tokens.get(letter, self._tokens.get(letter.upper()))
        assert number is not None, letter
        time = np.arange(round(TONE * RATE)) / RATE
        start = round(at * RATE)
        end = start + len(time)
        assert end <= len(self.audio), "the tape is full"
        self.audio[start:end] += (LOUD * np.sin(2 * np.pi * frequency(number) * time)).astype(np.float32)
        return end


def length(word: str) -> float:
    """Seconds of *word* and of the end-of-word token behind it."""
    return (len(word) + 1) * (TONE + REST)
