"""Made-up voice encoders, written in both of PyTorch's file formats without PyTorch.

Random ones serve to check the arithmetic; the one of `hears_bands` distinguishes which of the mel bands are loud, so that
noises of different pitch count as voices.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sottovoce.engines.diarization.ge2e.network import LAYERS, SHAPES, SIZE

Form = Literal["zip", "row"]
Weights = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class View:
    """A tensor in a table: its row of numbers, and its layout there."""

    key: str
    count: int
    shape: tuple[Any, ...]
    strides: tuple[int, ...]
    offset: int = 0
    kind: str = "FloatStorage"


@dataclass(frozen=True, slots=True)
class Raw:
    """Opcodes as they are."""

    opcodes: bytes


def random_weights(seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, 0.08, shape).astype(np.float32) for name, shape in SHAPES.items()}


def hears_bands() -> dict[str, np.ndarray[Any, Any]]:
    """Weights: each state of the first layer sums the loudness of one band; the other layers pass it on."""
    weights = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    into, keep, value, out = (slice(SIZE * gate, SIZE * (gate + 1)) for gate in range(4))
    for layer in range(LAYERS):
        bias, heard = weights[f"lstm.bias_ih_l{layer}"], weights[f"lstm.weight_ih_l{layer}"]
        bias[into], bias[keep], bias[out] = (-5.0, 7.0, 4.0) if layer == 0 else (4.0, -7.0, 4.0)
        width = heard.shape[1]
        heard[value] = 20.0 * np.eye(SIZE, dtype=np.float32)[:, :width] if layer == 0 else np.eye(SIZE)
    weights["linear.weight"][:] = np.eye(SIZE)
    return weights


def write(folder: Path, weights: Weights, *, form: Form = "zip", name: str = "encoder.pt") -> Path:
    """Write *weights* to a file in *folder* as a training run does: the model's state beside other entries; return *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {str(number): array for number, array in enumerate(weights.values())}
    state = {
        name: View(
            key, array.size, array.shape, tuple(each // array.itemsize for each in array.strides), kind=_kind(array)
        )
        for (key, array), name in zip(rows.items(), weights, strict=True)
    }
    table = {"step": 3, "model_state": state, "optimizer_state": {"lr": 0.5, "params": [1, 2], "amsgrad": False}}
    (folder / name).write_bytes(packed(table, {key: array.tobytes() for key, array in rows.items()}, form))
    return folder


def packed(table: Any, rows: Mapping[str, bytes], form: Form, *, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A file with this *table* (or `Raw` in its place) and *rows* of numbers by key."""
    if form == "zip":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as archive:
            archive.writestr("archive/data.pkl", pickled(table))
            archive.writestr("archive/byteorder", "little")
            for key, row in rows.items():
                archive.writestr(f"archive/data/{key}", row)
            archive.writestr("archive/version", "3\n")
        return file.getvalue()
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    begin = [pickled(each) for each in (0x1950A86A20F9469CFC6C, 1001, machine, table, list(rows))]
    items = _items(table)
    return b"".join(begin) + b"".join(
        struct.pack("<q", len(row) // items.get(key, 4)) + row for key, row in rows.items()
    )


def pickled(value: Any) -> bytes:
    """*value* in the opcodes that PyTorch's own pickles have."""
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value: Any) -> bytes:
    match value:
        case Raw():
            return value.opcodes
        case View():
            return _view(value)
        case dict():
            return _table(value)
        case list():
            return b"](" + b"".join(map(_opcodes, value)) + b"e"
        case tuple():
            return _row(*map(_opcodes, value))
    return pickle.dumps(value, 2)[2:-1]


def _view(view: View) -> bytes:
    storage = _row(_text("storage"), _named("torch", view.kind), *map(_opcodes, (view.key, "cuda:0", view.count)))
    parts = (storage + b"Q", *map(_opcodes, (view.offset, view.shape, view.strides, False)))
    return _named("torch._utils", "_rebuild_tensor_v2") + _row(*parts, _ordered()) + b"R"


def _table(table: dict[Any, Any]) -> bytes:
    """A state, which has tensors in it, is an OrderedDict with an attribute."""
    items = b"".join(_opcodes(each) for pair in table.items() for each in pair)
    if not any(isinstance(each, View) for each in table.values()):
        return b"}(" + items + b"u"
    noted = b"}" + _text("_metadata") + _ordered() + b"sb"
    return _ordered() + b"(" + items + b"u" + noted


def _row(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def _named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _ordered() -> bytes:
    return _named("collections", "OrderedDict") + b")R"


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _kind(array: np.ndarray[Any, Any]) -> str:
    return "DoubleStorage" if array.dtype == np.float64 else "FloatStorage"


def _items(table: Any) -> dict[str, int]:
    state = table.get("model_state", table) if isinstance(table, dict) else {}
    views = [each for each in state.values() if isinstance(each, View)] if isinstance(state, dict) else []
    return {view.key: 8 if view.kind == "DoubleStorage" else 4 for view in views}
