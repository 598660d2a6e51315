"""Tensors from a PyTorch file without PyTorch; nothing in the file is executed (`safe_unpickler` reads its tables).

Both formats of `torch.save` are supported: the current ZIP file, and the sequence of pickles and raw numbers from before
PyTorch 1.6. The caller names the tensors and shapes that it wants; nothing larger is allocated.
"""

import io
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sottovoce.engines.diarization.ge2e.safe_unpickler import ITEM, NotWeights, Storage, Tensor, loaded, refuse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["MAX_FILE", "MAX_PICKLE", "NotWeights", "read_tensors"]

MAX_FILE = 1 << 26
"""Bytes of a file; the published voice encoder has 17 million."""

MAX_PICKLE = 1 << 18
"""Bytes of the pickles of one file, and of a ZIP file's directory; the published encoder has 7,000."""

_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of the older format
_PROTOCOL = 1001  # its second pickle


def read_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> "dict[str, Floats]":
    """Return the tensors in *path* that *shapes* names, each of exactly that shape, as float32.

    They are read from the file's `model_state` if it has one, else from its top level. Errors: `NotWeights`; OSError
    when the file cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            size = file.seek(0, io.SEEK_END)
            if size > MAX_FILE:
                refuse(f"it is larger than {MAX_FILE >> 20} MiB")
            file.seek(0)
            zipped = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            return _from_zip(_Sparing(file), shapes) if zipped else _from_row(file, size, shapes)
    except NotWeights:
        raise
    except (LookupError, EOFError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise NotWeights("it is damaged") from error
    except (struct.error, zipfile.BadZipFile) as error:
        raise NotWeights("it is damaged") from error


# ── the two formats ──


class _Sparing(io.RawIOBase):
    """*file* with a limit of `MAX_PICKLE` bytes per read: `zipfile` believes the directory size that the file claims."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        """Return *size* bytes, or those that are left. Raises `NotWeights` for more than `MAX_PICKLE`."""
        data = self._file.read(min(size, MAX_PICKLE + 1) if size >= 0 else MAX_PICKLE + 1)
        if len(data) > MAX_PICKLE:
            refuse("its directory is too large")
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Seek in the file. Raises `NotWeights` for a negative offset."""
        if whence == io.SEEK_SET and offset < 0:
            refuse("it is damaged")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the file's position."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return True."""
        return True


def _from_zip(file: _Sparing, shapes: Mapping[str, tuple[int, ...]]) -> "dict[str, Floats]":
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            refuse("it has no data.pkl, or several")
        root = pickles[0].removesuffix("data.pkl")
        if members[pickles[0]].file_size > MAX_PICKLE:
            refuse("its table is too large")
        if (order := members.get(f"{root}byteorder")) and _member(archive, order, 0, 16) != b"little":
            refuse("it comes from a big-endian machine")
        table = loaded(io.BytesIO(_member(archive, members[pickles[0]], 0, MAX_PICKLE)))

        def numbers(storage: Storage, first: int, count: int) -> bytes:
            info = members[f"{root}data/{storage.key}"]
            if info.file_size != storage.count * ITEM[storage.kind]:
                refuse("a storage has a wrong length")
            item = ITEM[storage.kind]
            return _member(archive, info, first * item, count * item)

        return _tensors(table, shapes, numbers)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, at: int, count: int) -> bytes:
    """Return *count* bytes of a member from *at* on, fewer at its end.

    PyTorch never compresses; rejecting compressed members keeps ZIP bombs out.
    """
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        refuse("it is compressed or encrypted")
    parts = []
    with archive.open(info) as member:
        member.seek(at)
        while count > 0 and (part := member.read(min(count, MAX_PICKLE // 2))):
            parts.append(part)
            count -= len(part)
    return b"".join(parts)


def _from_row(file: BinaryIO, size: int, shapes: Mapping[str, tuple[int, ...]]) -> "dict[str, Floats]":
    begin = io.BytesIO(file.read(MAX_PICKLE))
    if loaded(begin) != _MAGIC or loaded(begin) != _PROTOCOL:
        refuse("it is not a PyTorch file")
    machine, table, keys = loaded(begin), loaded(begin), loaded(begin)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        refuse("it comes from a big-endian machine")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        refuse("it is damaged")
    kinds: dict[str, Storage] = {}
    for storage in _storages(table):
        if kinds.setdefault(storage.key, storage) != storage:
            refuse("two storages have the same key")
    places: dict[str, int] = {}
    at = begin.tell()
    for key in keys:  # the storages follow in this order, each a count and its numbers
        storage = kinds[key]
        file.seek(at)
        if struct.unpack("<q", file.read(8))[0] != storage.count:
            refuse("a storage has a wrong length")
        places[key] = at + 8
        at += 8 + storage.count * ITEM[storage.kind]
        if at > size:
            refuse("it is truncated")

    def numbers(storage: Storage, first: int, count: int) -> bytes:
        item = ITEM[storage.kind]
        file.seek(places[storage.key] + first * item)
        return file.read(count * item)

    return _tensors(table, shapes, numbers)


def _storages(value: object) -> Iterator[Storage]:
    """Yield every storage in a table; visit each shared object once."""
    waiting: list[Any] = [value]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Tensor):
            yield each.storage
        elif isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list | tuple):
            waiting.extend(each)


def _tensors(
    table: object, shapes: Mapping[str, tuple[int, ...]], numbers: Callable[[Storage, int, int], bytes]
) -> "dict[str, Floats]":
    import numpy as np

    if not isinstance(table, dict):
        refuse("it has no table of tensors")
    state = table.get("model_state", table)
    if not isinstance(state, dict):
        refuse("it has no table of tensors")
    found = {}
    for name, shape in shapes.items():
        tensor = state.get(name)
        if not isinstance(tensor, Tensor) or tensor.shape != shape:
            refuse(f"it has no {name} of {'x'.join(map(str, shape))} numbers")
        item = ITEM[tensor.storage.kind]
        span = 1 + sum((length - 1) * stride for length, stride in zip(shape, tensor.strides, strict=True))
        if tensor.offset + span > tensor.storage.count or span * item > MAX_FILE:
            refuse(f"{name} extends beyond its storage")
        raw = numbers(tensor.storage, tensor.offset, span)
        if len(raw) != span * item:
            refuse("it is truncated")
        row = np.frombuffer(raw, f"<f{item}")
        view = np.lib.stride_tricks.as_strided(row, shape, [stride * item for stride in tensor.strides])
        found[name] = np.ascontiguousarray(view, np.float32)
        if not np.isfinite(found[name]).all():
            refuse(f"{name} has NaN or infinite values")
    return found
