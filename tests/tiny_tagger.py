"""A tagger of audio events written with ONNX alone: its probabilities follow from the mean of the samples.

A mean above 0 is music, one below 0 laughter; the label of applause follows how loud the samples are.
"""

import csv
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = ("Speech", "Laughter", "Giggle", "Music", "Applause")
WEIGHTS = ((0.0, -60.0, -40.0, 60.0, 0.0), (0.0, 0.0, 0.0, 0.0, 60.0))
"""What the mean, and the mean of the absolute values, add to each label."""
_OPSET = 18


def build(
    folder: Path,
    *,
    labels: tuple[str, ...] = LABELS,
    length: int | None = None,
    rank: int = 1,
    logits: bool = False,
    settings: object = None,
) -> Path:
    """Write a model to *folder*. *length*: samples of its only window; *rank*: of its input; *settings*: `tagger.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = np.asarray(WEIGHTS, np.float32)
    nodes = [
        helper.make_node("Reshape", ["samples", "flat"], ["row"]),
        helper.make_node("Abs", ["row"], ["loud"]),
        helper.make_node("ReduceMean", ["row", "axes"], ["mean"], keepdims=1),
        helper.make_node("ReduceMean", ["loud", "axes"], ["loudness"], keepdims=1),
        helper.make_node("Concat", ["mean", "loudness"], ["embedding"], axis=1),
        helper.make_node("MatMul", ["embedding", "weights"], ["sums"]),
        helper.make_node("Add", ["sums", "bias"], ["raw"]),
        helper.make_node("Identity" if logits else "Sigmoid", ["raw"], ["scores"]),
    ]
    known: dict[str, np.ndarray] = {
        "flat": np.asarray([1, -1], np.int64),
        "axes": np.asarray([1], np.int64),
        "weights": weights,
        "bias": np.full((1, len(LABELS)), -6.0, np.float32),
    }
    shape: list[int | str] = [*[1] * (rank - 1), length or "n"]
    graph = helper.make_graph(
        nodes,
        "tagger",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 2]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", len(LABELS)]),
        ],
        [numpy_helper.from_array(value, name) for name, value in known.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / "model.onnx"))
    with (folder / "class_labels_indices.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("index", "mid", "display_name"))
        writer.writerows((at, f"/m/{at}", label) for at, label in enumerate(labels))
    if settings is not None:
        (folder / "tagger.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder
