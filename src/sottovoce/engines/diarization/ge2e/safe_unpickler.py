"""An interpreter of pickles that describe tensors; it never executes or imports anything that a pickle names.

It supports plain containers, numbers, strings and the names that a table of tensors needs, and rejects any other opcode
or name. Its memory is bounded by the length of the pickle, whatever values are in it.
In order: limits; `Storage` and `Tensor`; `loaded`; the stack machine; the tables of opcodes.
"""

import io
import math
import pickletools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_NUMBERS = 1 << 26
"""Largest number of items in a storage, and of any offset, dimension or stride of a tensor."""

ITEM = {"FloatStorage": 4, "DoubleStorage": 8}
"""Bytes per item of each supported kind."""

_MOST_SIDES = 8  # dimensions of a tensor


class NotWeights(ValueError):
    """The file is not a valid file of weights; the message gives the reason and quotes nothing from the file."""


@dataclass(frozen=True, slots=True)
class Storage:
    """An array of *count* numbers of *kind*, stored in the file under *key*."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of *storage* from item *offset* on, with *shape* and *strides* in items."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that the pickle may contain; it is never imported."""

    text: str


class _Table(dict[Any, Any]):
    """Stands for an OrderedDict, the only object that a pickle may set attributes on; they are ignored."""


def refuse(why: str) -> NoReturn:
    """Raise `NotWeights`."""
    raise NotWeights(why)


_MARK = object()
_NAMES = frozenset(
    {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage", "torch DoubleStorage"}
)


def loaded(file: io.BytesIO) -> object:
    """Return the object of the next pickle in *file*. Errors: `NotWeights`; other exceptions for damaged pickles."""
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "STOP":
            return machine.result()
        machine.step(opcode.name, argument)
    return refuse("it is truncated")


class _Machine:
    """A stack machine with the opcodes that a table of tensors needs."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def result(self) -> object:
        """Return the top of the stack after the last opcode."""
        return self._stack.pop()

    def step(self, name: str, argument: Any) -> None:
        """Execute the opcode *name*. Raises `NotWeights` for an unsupported one."""
        if name in _PLAIN:
            self._stack.append(argument)
        elif name in _FIXED:
            self._stack.append(_FIXED[name]())
        elif name in _KEPT:
            self._memo[argument] = self._stack[-1]
        elif name in _AGAIN:
            self._stack.append(self._memo[argument])
        elif name in _TUPLES:
            count = _TUPLES[name]
            self._stack[-count:] = [tuple(self._stack[-count:])]
        elif act := _ACTS.get(name):
            act(self, argument)
        else:
            refuse(f"its table has the opcode {name}, which no table of tensors needs")

    def since_mark(self) -> list[Any]:
        """Remove and return what is on the stack above the last mark, and the mark."""
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                refuse("it is damaged")
        found = self._stack[at + 1 :]
        del self._stack[at:]
        return found

    def ignore(self, _: Any) -> None:
        """Skip the protocol number."""

    def take_tuple(self, _: Any) -> None:
        self._stack.append(tuple(self.since_mark()))

    def append_one(self, _: Any) -> None:
        self.extend([self._stack.pop()])

    def append_many(self, _: Any) -> None:
        self.extend(self.since_mark())

    def extend(self, items: Sequence[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            refuse("it is damaged")
        self._stack[-1].extend(items)

    def put_one(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self.put([key, value])

    def put_many(self, _: Any) -> None:
        self.put(self.since_mark())

    def put(self, pairs: Sequence[Any]) -> None:
        table, keys = self._stack[-1], pairs[::2]
        if not isinstance(table, dict) or not all(isinstance(key, str | int) for key in keys):
            refuse("it is damaged")
        table.update(zip(keys, pairs[1::2], strict=True))

    def name(self, name: str) -> None:
        if name not in _NAMES:
            refuse("its table refers to something other than tensors")
        self._stack.append(_Name(name))

    def stored(self, _: Any) -> None:
        """Push a storage from its tag, kind, key, device and count (and, in the older format, an empty view)."""
        match self._stack.pop():
            case ("storage", _Name(text), str(key), str(), int(count)) | (
                "storage",
                _Name(text),
                str(key),
                str(),
                int(count),
                None,
            ) if 0 <= count <= MAX_NUMBERS and text.removeprefix("torch ") in ITEM:
                self._stack.append(Storage(text.removeprefix("torch "), key, count))
            case _:
                refuse("its table has a storage of an unknown kind")

    def reduce(self, _: Any) -> None:
        given, made = self._stack.pop(), self._stack.pop()
        match made, given:
            case _Name("collections OrderedDict"), ():
                self._stack.append(_Table())
            case _Name("torch._utils _rebuild_tensor_v2"), (Storage() as storage, int(offset), tuple(), tuple(), *_):
                self._stack.append(_tensor(storage, offset, given[2], given[3]))
            case _:
                refuse("its table creates something other than tensors")

    def build(self, _: Any) -> None:
        self._stack.pop()
        if not isinstance(self._stack[-1], _Table):
            refuse("its table creates something other than tensors")


def _tensor(storage: Storage, offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...]) -> Tensor:
    numbers = (offset, *shape, *strides)
    possible = len(shape) == len(strides) <= _MOST_SIDES
    if not possible or not all(isinstance(each, int) and 0 <= each <= MAX_NUMBERS for each in numbers):
        refuse("a tensor has an impossible shape")
    if math.prod(shape) > storage.count:
        refuse("a tensor has an impossible shape")
    return Tensor(storage, offset, shape, strides)


_PLAIN = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"})
_FIXED: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_KEPT = frozenset({"BINPUT", "LONG_BINPUT"})
_AGAIN = frozenset({"BINGET", "LONG_BINGET"})
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_ACTS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.ignore,
    "TUPLE": _Machine.take_tuple,
    "APPEND": _Machine.append_one,
    "APPENDS": _Machine.append_many,
    "SETITEM": _Machine.put_one,
    "SETITEMS": _Machine.put_many,
    "GLOBAL": _Machine.name,
    "BINPERSID": _Machine.stored,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
