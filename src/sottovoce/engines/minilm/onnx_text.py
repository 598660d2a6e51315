"""Writes an ONNX graph: the few protocol buffer messages of the format, without the package `onnx`.

Only what `graph` needs: nodes with integer and float attributes, initializers that lie in a file of their own, and inputs and
outputs of any size. Field numbers: `onnx.proto3` of ONNX 1.17.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence

FLOAT, INT64 = 1, 7
"""Element types of tensors."""
_VARINT, _BYTES, _FIXED32 = 0, 2, 5


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are written as 64 bits
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _field(number: int, value: float | bytes | str) -> bytes:
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return _varint(number << 3 | _BYTES) + _varint(len(value)) + value
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    return _varint(number << 3 | _FIXED32) + struct.pack("<f", value)


def _attribute(name: str, value: float | Sequence[int]) -> bytes:
    """AttributeProto: name 1, f 2, i 3, ints 8, type 20."""
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, 2)
    if isinstance(value, float):
        return _field(1, name) + _field(2, value) + _field(20, 1)
    return _field(1, name) + b"".join(_field(8, each) for each in value) + _field(20, 7)


def node(kind: str, inputs: Iterable[str], output: str, **attributes: float | Sequence[int]) -> bytes:
    """NodeProto: input 1, output 2, op_type 4, attribute 5."""
    body = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)
    return body + b"".join(_field(5, _attribute(name, value)) for name, value in attributes.items())


def stored(name: str, shape: Sequence[int], file: str, offset: int, length: int) -> bytes:
    """TensorProto of floats at byte *offset* of *file*: dims 1, data_type 2, name 8, external_data 13, data_location 14."""
    body = b"".join(_field(1, size) for size in shape) + _field(2, FLOAT) + _field(8, name)
    for key, value in (("location", file), ("offset", str(offset)), ("length", str(length))):
        body += _field(13, _field(1, key) + _field(2, value))
    return body + _field(14, 1)


def integers(name: str, values: Sequence[int]) -> bytes:
    """TensorProto of a vector of 64-bit integers: raw_data 9."""
    raw = struct.pack(f"<{len(values)}q", *values)
    return _field(1, len(values)) + _field(2, INT64) + _field(8, name) + _field(9, raw)


def number(name: str, value: float) -> bytes:
    """TensorProto of one float without dimensions."""
    return _field(2, FLOAT) + _field(8, name) + _field(9, struct.pack("<f", value))


def _value(name: str, kind: int, dimensions: Sequence[str]) -> bytes:
    """ValueInfoProto: name 1, type 2 (tensor_type 1: elem_type 1, shape 2: dim 1: dim_param 2)."""
    shape = b"".join(_field(1, _field(2, each)) for each in dimensions)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))


def model(
    nodes: Iterable[bytes],
    initializers: Iterable[bytes],
    inputs: Mapping[str, tuple[int, Sequence[str]]],
    outputs: Mapping[str, tuple[int, Sequence[str]]],
    opset: int,
) -> bytes:
    """ModelProto: ir_version 1, graph 7 (node 1, name 2, initializer 5, input 11, output 12), opset_import 8 (version 2)."""
    graph = b"".join(_field(1, each) for each in nodes) + _field(2, "encoder")
    graph += b"".join(_field(5, each) for each in initializers)
    graph += b"".join(_field(11, _value(name, *described)) for name, described in inputs.items())
    graph += b"".join(_field(12, _value(name, *described)) for name, described in outputs.items())
    return _field(1, 10) + _field(7, graph) + _field(8, _field(2, opset))
