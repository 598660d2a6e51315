"""What an operator decides about engines: where models lie, which of them to use, on what."""

import ctypes
from dataclasses import dataclass, field
from pathlib import Path

from sottovoce.request import OperatingPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Goes to every engine process as it is, so it holds no secret.

    *pinned*: the model that an operating point shall use, by name. *devices*: where engine processes run, in turn: `cpu`,
    or GPUs by number (`cuda:0`, `cuda:1`). *compute_type*: `auto` is int8 on a CPU and float16 on a GPU. *threads*: of one
    decode in an engine process. *workers*: decodes that one process may have at once on a CPU, while other slots are idle.
    *batch*: stretches of at most 30 s that a GPU recognises together; *beam*: hypotheses kept while searching.
    """

    models: Path = Path("data/models")
    pinned: dict[OperatingPoint, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ("cpu",)
    compute_type: str = "auto"
    threads: int = 1
    workers: int = 1
    batch: int = 8
    beam: int = 5

    @property
    def kind_of_device(self) -> str:
        """`cpu` or `cuda`: what decides about speed and memory; the number of a GPU does not."""
        return self.devices[0].partition(":")[0]


def visible_devices(wanted: str) -> tuple[str, ...]:
    """The devices that the setting *wanted* names: `auto`, `cpu`, `cuda`, or `cuda:0,2`.

    `auto` is every GPU that the driver shows, else the CPU. Raises ValueError for a GPU that is not there.
    """
    if wanted == "cpu":
        return ("cpu",)
    count = _gpus()
    if wanted == "auto":
        return tuple(f"cuda:{number}" for number in range(count)) or ("cpu",)
    _, _, numbers = wanted.partition(":")
    asked = [int(number) for number in numbers.split(",")] if numbers else list(range(count))
    if not asked or max(asked) >= count:
        raise ValueError(f"device {wanted}: this machine shows {count} GPU(s); use `cpu`, or mend the driver")
    return tuple(f"cuda:{number}" for number in dict.fromkeys(asked))


def _gpus() -> int:
    """How many GPUs the driver shows to this process. The driver alone is asked: it costs nothing where there is none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value
