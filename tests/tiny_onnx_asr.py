"""Tiny models with the inputs and outputs that onnx-asr expects of NeMo's, written with ONNX alone: no torch, no download.

The encoders measure the loudness of each frame of 80 ms relative to the whole utterance. The transducers write the next piece
of a given text in every loud frame; Canary's decoder writes the text of the requested language. So tests run the real
library, including its features, and check words and times.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES = 128
FRAME = 0.08
"""Seconds of an encoder frame."""

TEXT = ("▁Hel", "lo", ",", "▁world", ".")
"""The repeated output of the transducers: a piece in each loud frame."""

TEXTS: Mapping[str, Sequence[str]] = {
    "en": ("▁Good", "▁mor", "ning", ",", "▁twenty", "-two", "!"),
    "de": ("▁Guten", "▁Mor", "gen", "."),
}
"""The output of Canary."""

_OPSET = 18
_FLOAT, _INT, _LONG = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
_STATE = 3


def transducer(
    folder: Path, *, durations: Sequence[int] = (), suffix: str = "", pieces: Sequence[str] = TEXT, loud: float = -0.3
) -> Path:
    """An RNN-T, or with *durations* a TDT (of which it always chooses the second), in *folder*.

    A frame is loud above *loud* standard deviations. *suffix* is that of a quantized file (`.int8`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocab = ["<unk>", *dict.fromkeys(pieces), "<blk>"]
    blank = len(vocab) - 1
    follows = np.full((len(vocab), len(vocab)), -4.0, np.float32)
    follows[blank, vocab.index(pieces[0])] = 4.0
    for said, following in zip(pieces, [*pieces[1:], pieces[0]], strict=True):
        follows[vocab.index(said), vocab.index(following)] = 4.0
    to_blank = np.zeros((1, len(vocab)), np.float32)
    to_blank[0, blank] = -100.0
    floor = np.zeros(len(vocab), np.float32)
    floor[blank] = 100.0 * loud
    nodes = [
        helper.make_node("Transpose", ["encoder_outputs"], ["frames"], perm=[0, 2, 1]),  # [B, T, 1]
        helper.make_node("MatMul", ["frames", "to_blank"], ["heard"]),
        helper.make_node("Gather", ["follows", "targets"], ["wanted"]),  # [B, U, V]
        helper.make_node("Add", ["wanted", "floor"], ["biased"]),
        helper.make_node("Add", ["heard", "biased"], ["scores"]),
        helper.make_node("Concat", ["scores", "steps"], ["joint"], axis=2),
        helper.make_node("Unsqueeze", ["joint", "one"], ["outputs"]),
        helper.make_node("Add", ["input_states_1", "input_states_2"], ["output_states_1"]),
        helper.make_node("Identity", ["input_states_2"], ["output_states_2"]),
    ]
    steps = np.array([[[5.0 if at == 1 else 0.0 for at in range(len(durations))]]], np.float32)
    _save(
        folder / f"decoder_joint-model{suffix}.onnx",
        nodes,
        inputs=[
            ("encoder_outputs", _FLOAT, ["B", 1, "T"]),
            ("targets", _INT, ["B", "U"]),
            ("target_length", _INT, ["B"]),
            ("input_states_1", _FLOAT, [1, "B", _STATE]),
            ("input_states_2", _FLOAT, [1, "B", _STATE]),
        ],
        outputs=[("outputs", _FLOAT, None), ("output_states_1", _FLOAT, None), ("output_states_2", _FLOAT, None)],
        weights={
            "to_blank": to_blank,
            "follows": follows,
            "floor": floor,
            "steps": steps,
            "one": np.array([1]),
        },
    )
    _encoder(folder / f"encoder-model{suffix}.onnx", ["outputs", "encoded_lengths"])
    _finish(folder, vocab, "nemo-conformer-tdt" if durations else "nemo-conformer-rnnt", max_tokens_per_step=1)
    return folder


def canary(folder: Path, *, softmax: bool = True, texts: Mapping[str, Sequence[str]] = TEXTS) -> Path:
    """An encoder-decoder in *folder*; without *softmax* its decoder gives bare scores."""
    folder.mkdir(parents=True, exist_ok=True)
    prompt = ["startofcontext", "startoftranscript", "emo:undefined", "pnc", "noitn", "notimestamp", "nodiarize"]
    vocab = [f"<|{name}|>" for name in ["endoftext", *prompt, *texts]]
    vocab += dict.fromkeys(["▁", *(f"{piece}" for text in texts.values() for piece in text)])
    follows = np.zeros((len(vocab), len(vocab)), np.float32)
    for language, text in texts.items():
        chain = [f"<|{language}|>", *text, "<|endoftext|>"]
        for said, following in pairwise(chain):
            follows[vocab.index(said), vocab.index(following)] = 6.0
    nodes = [
        helper.make_node("Gather", ["follows", "input_ids"], ["wanted"]),  # [B, S, V]
        helper.make_node("ReduceSum", ["wanted", "one"], ["scores"], keepdims=1),
        helper.make_node("LogSoftmax", ["scores"], ["logits"], axis=2)
        if softmax
        else helper.make_node("Identity", ["scores"], ["logits"]),
        helper.make_node("Cast", ["input_ids"], ["floats"], to=_FLOAT),
        helper.make_node("Unsqueeze", ["floats", "edges"], ["states"]),  # [1, B, S, 1]
        helper.make_node("Concat", ["decoder_mems", "states"], ["decoder_hidden_states"], axis=2),
    ]
    _save(
        folder / "decoder-model.onnx",
        nodes,
        inputs=[
            ("input_ids", _LONG, ["B", "S"]),
            ("encoder_embeddings", _FLOAT, ["B", "T", 1]),
            ("encoder_mask", _LONG, ["B", "T"]),
            ("decoder_mems", _FLOAT, [1, "B", "M", 1]),
        ],
        outputs=[("logits", _FLOAT, None), ("decoder_hidden_states", _FLOAT, None)],
        weights={"follows": follows, "one": np.array([1]), "edges": np.array([0, 3])},
    )
    _encoder(folder / "encoder-model.onnx", ["encoder_embeddings", "encoder_mask"])
    _finish(folder, vocab, "nemo-conformer-aed", max_sequence_length=64)
    return folder


def _encoder(path: Path, outputs: Sequence[str]) -> None:
    """Mean of the features in each frame of 80 ms: [B, 1, T] and lengths [B], or Canary's [B, T, 1] and mask [B, T]."""
    weights = {
        "kernel": np.full((1, FEATURES, 8), 1 / (8 * FEATURES), np.float32),
        "seven": np.array(7),
        "eight": np.array(8),
        "one": np.array([1]),
    }
    nodes = [
        helper.make_node("Conv", ["audio_signal", "kernel"], ["loudness"], strides=[8], pads=[0, 7]),
        helper.make_node("Add", ["length", "seven"], ["rounded"]),
        helper.make_node("Div", ["rounded", "eight"], ["lengths"]),
    ]
    if outputs[0] == "outputs":
        nodes += [
            helper.make_node("Identity", ["loudness"], ["outputs"]),
            helper.make_node("Identity", ["lengths"], ["encoded_lengths"]),
        ]
    else:
        nodes += [
            helper.make_node("Transpose", ["loudness"], ["encoder_embeddings"], perm=[0, 2, 1]),
            helper.make_node("ReduceSum", ["loudness", "one"], ["flat"], keepdims=0),
            helper.make_node("Cast", ["flat"], ["whole"], to=_LONG),
            helper.make_node("Unsqueeze", ["lengths", "one"], ["column"]),
            helper.make_node("Add", ["whole", "column"], ["encoder_mask"]),
        ]
    _save(
        path,
        nodes,
        inputs=[("audio_signal", _FLOAT, ["B", FEATURES, "L"]), ("length", _LONG, ["B"])],
        outputs=[(outputs[0], _FLOAT, None), (outputs[1], _LONG, None)],
        weights=weights,
    )


_Tensor = tuple[str, int, list[str | int] | None]


def _save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    *,
    inputs: Sequence[_Tensor],
    outputs: Sequence[_Tensor],
    weights: Mapping[str, np.ndarray],
) -> None:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
    path.write_bytes(model.SerializeToString())


def _finish(folder: Path, vocab: Sequence[str], architecture: str, **settings: int) -> None:
    lines = "".join(f"{token} {number}\n" for number, token in enumerate(vocab))
    (folder / "vocab.txt").write_text(lines, encoding="utf-8")
    config = {"model_type": architecture, "features_size": FEATURES, "subsampling_factor": 8, **settings}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
