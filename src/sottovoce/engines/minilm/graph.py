"""The network of a BERT encoder as an ONNX graph over the weights of a safetensors file, which stay where they are.

Input `ids` and `mask`, int64[b, t]; output `vectors`, float32[b, d]: the mean of the last layer over the tokens of the mask,
of length 1 (what sentence-transformers calls mean pooling and normalization).
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from sottovoce.engines.minilm import onnx_text as onnx
from sottovoce.errors import EngineUnavailable

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
OPSET = 20
MOST_HEADER = 8 << 20  # bytes of the header of a safetensors file


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of an encoder, from its `config.json`."""

    hidden: int
    heads: int
    layers: int
    positions: int
    epsilon: float


def shape_of(folder: Path) -> Shape:
    """Return the sizes of the encoder in *folder*. Raises `EngineUnavailable` for another kind of network."""
    config = json.loads((folder / CONFIG).read_bytes())
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
        raise EngineUnavailable("its config.json does not describe a BERT encoder with gelu", at=None)
    return Shape(
        hidden=int(config["hidden_size"]),
        heads=int(config["num_attention_heads"]),
        layers=int(config["num_hidden_layers"]),
        positions=int(config["max_position_embeddings"]),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
    )


def _tensors(file: Path) -> list[bytes]:
    """Return an initializer for each float tensor of the safetensors *file*. Raises `EngineUnavailable` for a damaged file."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        if length > min(MOST_HEADER, size - 8):
            raise EngineUnavailable(f"{file.name} is damaged: a header of {length} bytes", at=None)
        header = json.loads(opened.read(length))
    found = []
    for name, described in header.items():
        if name == "__metadata__" or described["dtype"] != "F32":
            continue
        begin, end = described["data_offsets"]
        if not 0 <= begin <= end <= size - 8 - length:
            raise EngineUnavailable(f"{file.name} is damaged: {name} lies outside the file", at=None)
        found.append(onnx.stored(name, described["shape"], file.name, 8 + length + begin, end - begin))
    return found


class _Graph:
    """Collects nodes; each returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = []

    def add(self, kind: str, *inputs: str, **attributes: float | list[int]) -> str:
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(onnx.node(kind, inputs, output, **attributes))
        return output

    def whole(self, *values: int) -> str:
        name = f"whole_{len(self.constants)}"
        self.constants.append(onnx.integers(name, values))
        return name

    def number(self, value: float) -> str:
        name = f"number_{len(self.constants)}"
        self.constants.append(onnx.number(name, value))
        return name

    def linear(self, value: str, name: str) -> str:
        turned = self.add("Transpose", f"{name}.weight", perm=[1, 0])  # folded when the session is made
        return self.add("Add", self.add("MatMul", value, turned), f"{name}.bias")

    def normalized(self, value: str, name: str, epsilon: float) -> str:
        return self.add("LayerNormalization", value, f"{name}.weight", f"{name}.bias", axis=-1, epsilon=epsilon)


def encoder(folder: Path) -> bytes:
    """Return the graph of the encoder in *folder*; its weights are read from there when the session is made."""
    shape, graph = shape_of(folder), _Graph()
    floats = graph.add("Cast", "mask", to=onnx.FLOAT)
    # added to the scores of attention: 0 for a token, -10,000 for padding
    away = graph.add("Mul", graph.add("Sub", graph.number(1.0), floats), graph.number(-1e4))
    away = graph.add("Unsqueeze", away, graph.whole(1, 2))
    words = graph.add("Gather", "embeddings.word_embeddings.weight", "ids")
    length = graph.add("Shape", "ids", start=1, end=2)
    places = graph.add("Slice", "embeddings.position_embeddings.weight", graph.whole(0), length, graph.whole(0))
    kind = graph.add("Gather", "embeddings.token_type_embeddings.weight", graph.whole(0))
    value = graph.add("Add", graph.add("Add", words, places), kind)
    value = graph.normalized(value, "embeddings.LayerNorm", shape.epsilon)
    for layer in range(shape.layers):
        value = _layer(graph, value, away, f"encoder.layer.{layer}", shape)
    wide = graph.add("Unsqueeze", floats, graph.whole(2))
    total = graph.add("ReduceSum", graph.add("Mul", value, wide), graph.whole(1), keepdims=0)
    norm = graph.add("ReduceL2", total, graph.whole(1), keepdims=1)
    graph.nodes.append(onnx.node("Div", [total, norm], "vectors"))
    return onnx.model(
        graph.nodes,
        [*_tensors(folder / WEIGHTS), *graph.constants],
        {"ids": (onnx.INT64, ("b", "t")), "mask": (onnx.INT64, ("b", "t"))},
        {"vectors": (onnx.FLOAT, ("b", "d"))},
        OPSET,
    )


def _layer(graph: _Graph, value: str, away: str, name: str, shape: Shape) -> str:
    width = shape.hidden // shape.heads
    apart = graph.whole(0, 0, shape.heads, width)

    def heads(part: str) -> str:
        whole = graph.linear(value, f"{name}.attention.self.{part}")
        return graph.add("Transpose", graph.add("Reshape", whole, apart), perm=[0, 2, 1, 3])

    keys = graph.add("Transpose", heads("key"), perm=[0, 1, 3, 2])
    scores = graph.add("Mul", graph.add("MatMul", heads("query"), keys), graph.number(width**-0.5))
    attention = graph.add("Softmax", graph.add("Add", scores, away), axis=-1)
    seen = graph.add("Transpose", graph.add("MatMul", attention, heads("value")), perm=[0, 2, 1, 3])
    seen = graph.linear(graph.add("Reshape", seen, graph.whole(0, 0, shape.hidden)), f"{name}.attention.output.dense")
    value = graph.normalized(graph.add("Add", value, seen), f"{name}.attention.output.LayerNorm", shape.epsilon)
    inner = graph.add("Gelu", graph.linear(value, f"{name}.intermediate.dense"))
    outer = graph.linear(inner, f"{name}.output.dense")
    return graph.normalized(graph.add("Add", value, outer), f"{name}.output.LayerNorm", shape.epsilon)
