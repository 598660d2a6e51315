"""PyTorch files read without PyTorch: both forms, and whatever somebody may put into one."""

import io
import os
import pickle
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sottovoce.engines.diarization.ge2e import torch_weights
from sottovoce.engines.diarization.ge2e.torch_weights import MAX_PICKLE, NotWeights, read_tensors
from tests.tiny_voice_encoder import Form, Raw, View, packed, pickled

FORMS: tuple[Form, ...] = ("zip", "row")
SHAPES = {"a": (2, 3), "b": (4,)}
ROW = np.arange(10, dtype="<f4")
STATE = {"a": View("7", 10, (2, 3), (3, 1)), "b": View("7", 10, (4,), (1,), offset=6)}


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


def put(folder: Path, data: bytes) -> Path:
    file = folder / "encoder.pt"
    file.write_bytes(data)
    return file


def written(folder: Path, form: Form, state: object = STATE, row: bytes = ROW.tobytes()) -> Path:
    return put(folder, packed({"step": 1, "model_state": state}, {"7": row}, form))


def test_tensors_that_share_a_row_are_cut_out_of_it(tmp_path, form):
    found = read_tensors(written(tmp_path, form), SHAPES)
    assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["b"].tolist() == [6, 7, 8, 9]
    assert {each.dtype for each in found.values()} == {np.dtype(np.float32)}


def test_a_transposed_tensor_is_turned(tmp_path, form):
    found = read_tensors(written(tmp_path, form, STATE | {"a": View("7", 10, (2, 3), (1, 2))}), SHAPES)
    assert found["a"].tolist() == [[0, 2, 4], [1, 3, 5]]


def test_numbers_of_eight_bytes_become_those_of_four(tmp_path, form):
    state = {"a": View("7", 6, (2, 3), (3, 1), kind="DoubleStorage")}
    row = np.arange(6, dtype="<f8").tobytes()
    assert read_tensors(written(tmp_path, form, state, row), {"a": (2, 3)})["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_file_may_be_the_state_itself(tmp_path, form):
    file = put(tmp_path, packed(STATE, {"7": ROW.tobytes()}, form))
    assert read_tensors(file, SHAPES)["b"].tolist() == [6, 7, 8, 9]


@pytest.mark.parametrize(
    "state",
    [
        {},
        [],
        {"a": 1, "b": 2},
        STATE | {"a": View("7", 10, (3, 2), (2, 1))},
        STATE | {"b": View("7", 10, (4,), (1,), offset=7)},
        STATE | {"b": View("7", 10, (4,), (100,))},
        STATE | {"b": View("7", 2**40, (4,), (1,))},
        STATE | {"b": View("7", 10, (2**30, 2**30), (1, 1))},
        STATE | {"b": View("7", 10, (4,), (1, 1))},
        STATE | {"b": View("7", 10, (4,), (-1,), offset=9)},
        STATE | {"b": View("7", 10, (4,), (1,), offset=-1)},
        STATE | {"b": View("7", 10, (1,) * 100_000, (1,) * 100_000)},
        STATE | {"b": View("7", 11, (4,), (1,))},
        STATE | {"b": View("8", 10, (4,), (1,))},
        STATE | {"b": View("7", 10, (4,), (1,), kind="LongStorage")},
        STATE | {"b": View("7", 10, ("x",), (1,))},
    ],
)
def test_tensors_that_cannot_be_are_refused(tmp_path, form, state):
    with pytest.raises(NotWeights):
        read_tensors(written(tmp_path, form, state), SHAPES)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(tmp_path, form, value):
    row = ROW.copy()
    row[8] = value
    with pytest.raises(NotWeights, match="NaN or infinite"):
        read_tensors(written(tmp_path, form, STATE, row.tobytes()), SHAPES)


class Command:
    """What a pickle can do to whoever loads it."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_nothing_in_a_file_is_run(tmp_path, form, protocol):
    spoor = tmp_path / "spoor"
    bad = pickle.dumps(Command(f"touch {spoor}"), protocol)
    for table in (Raw(bad[:-1]), {"model_state": Raw(bad[2 if protocol > 1 else 0 : -1])}):
        with pytest.raises(NotWeights):
            read_tensors(put(tmp_path, packed(table, {}, form)), SHAPES)
    assert not spoor.exists()


@pytest.mark.parametrize(
    "opcodes",
    [
        b"",
        b"cbuiltins\neval\nX\x01\x00\x00\x001\x85R",
        b"ccollections\nOrderedDict\n](]]eR",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
        b"ctorch\nFloatStorage\n)R",
        b"}}b",
        b"X\x07\x00\x00\x00storageQ",
        b"\x96" + struct.pack("<Q", 2**62),  # a bytearray, which pickle would make at once
        b"\x8d" + struct.pack("<Q", 2**62),
        b"X\xff\xff\xff\x7fa",
        b"N" + b"r\xff\xff\xff\x7f",  # a memo with two thousand million places
        b"h\x05",
        b"t",
        b"u",
        b"e",
        b"}Na",
        b"}(Nu",
        b"}NNs",
        b"}(]Nu",
        b"N" + b"\x85" * 20_000,
        b"]q\x00h\x00a",
        b"\x80\x02" * 1000,
        b"(" * 20_000,
        b"I" + b"9" * 100_000 + b"\n",
        b"\x8a\xff" + b"\x01" * 255,
        b"\x8b" + struct.pack("<i", 2**31 - 1),
    ],
)
def test_strange_tables_are_refused_in_little_memory(tmp_path, form, opcodes):
    file = put(tmp_path, packed({"model_state": Raw(opcodes)}, {}, form))
    tracemalloc.start()
    try:
        with pytest.raises(NotWeights):
            read_tensors(file, SHAPES)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_table_that_holds_itself_is_refused(tmp_path, form):
    file = put(tmp_path, packed({"model_state": Raw(b"}q\x00X\x01\x00\x00\x00ah\x00s")}, {}, form))
    with pytest.raises(NotWeights):
        read_tensors(file, SHAPES)


def test_a_file_that_is_cut_off_anywhere_is_refused(tmp_path, form):
    whole = written(tmp_path, form).read_bytes()
    for length in range(0, len(whole) - 1, 23):
        with pytest.raises(NotWeights):
            read_tensors(put(tmp_path, whole[:length]), SHAPES)


def test_a_file_that_is_changed_anywhere_is_read_or_refused(tmp_path, form):
    whole = written(tmp_path, form).read_bytes()
    for at in range(0, len(whole), 7):
        changed = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        try:
            found = read_tensors(put(tmp_path, changed), SHAPES)
        except NotWeights:
            continue
        assert {name: each.shape for name, each in found.items()} == SHAPES


def test_compressed_and_doubled_members_are_refused(tmp_path):
    bomb = packed({"model_state": STATE}, {"7": bytes(40 << 20)}, "zip", compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(NotWeights, match="compressed"):
        read_tensors(put(tmp_path, bomb), SHAPES)
    file = io.BytesIO(packed({"model_state": STATE}, {"7": ROW.tobytes()}, "zip"))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("other/data.pkl", pickled({}))
    with pytest.raises(NotWeights, match="several"):
        read_tensors(put(tmp_path, file.getvalue()), SHAPES)


def test_a_directory_without_end_is_not_read(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(MAX_PICKLE // 60):
            archive.writestr(f"archive/data/{number}", b"")
        archive.writestr("archive/data.pkl", pickled({}))
    with pytest.raises(NotWeights, match="directory"):
        read_tensors(put(tmp_path, file.getvalue()), SHAPES)


def test_large_tables_and_files_are_refused(tmp_path, form, monkeypatch):
    table = {"model_state": STATE, "more": "x" * MAX_PICKLE}
    with pytest.raises(NotWeights):
        read_tensors(put(tmp_path, packed(table, {"7": ROW.tobytes()}, form)), SHAPES)
    monkeypatch.setattr(torch_weights, "MAX_FILE", 100)
    with pytest.raises(NotWeights, match="larger"):
        read_tensors(written(tmp_path, form), SHAPES)


def test_numbers_of_another_machine_are_refused(tmp_path):
    file = written(tmp_path, "row")
    data = re.sub(rb"(little_endian.{2})\x88", b"\\1\x89", file.read_bytes())
    assert data != file.read_bytes()
    with pytest.raises(NotWeights, match="big-endian"):
        read_tensors(put(tmp_path, data), SHAPES)
    data = written(tmp_path, "zip").read_bytes().replace(b"little", b"nutmeg")
    with pytest.raises(NotWeights):
        read_tensors(put(tmp_path, data), SHAPES)


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04", b"PK\x03\x04" + bytes(100), b"\x80\x02.", b"RIFF" * 50])
def test_other_files_are_refused(tmp_path, data):
    with pytest.raises(NotWeights):
        read_tensors(put(tmp_path, data), SHAPES)


def test_a_file_that_cannot_be_read_is_somebody_else_s_fault(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "encoder.pt", SHAPES)
