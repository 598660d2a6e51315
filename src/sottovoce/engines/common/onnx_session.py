"""Where and how ONNX networks run: what engines over onnxruntime have in common."""

import re
from collections.abc import Iterable
from typing import Any

from sottovoce.errors import EngineUnavailable

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_DEVICE = re.compile(r"cpu|cuda(?::(\d{1,3}))?")


def gpu_of(device: str, what: str) -> int | None:
    """The number of the GPU that *device* names, None for the CPU. Raises `EngineUnavailable` for neither; *what* runs there."""
    found = _DEVICE.fullmatch(device)
    if found is None:
        raise EngineUnavailable(f"{what} runs on cpu, cuda or cuda:N, not on {device!r}", at=None)
    return None if device == "cpu" else int(found[1] or 0)


def providers(gpu: int | None) -> list[Any]:
    """What onnxruntime shall run on. Raises `EngineUnavailable` where it was built without CUDA."""
    import onnxruntime

    if gpu is None:
        return [CPU]
    if CUDA not in onnxruntime.get_available_providers():
        raise EngineUnavailable(
            "onnxruntime is installed here without CUDA: install onnxruntime-gpu in its place, or set the device to cpu",
            at=None,
        )
    return [(CUDA, {"device_id": gpu}), CPU]


def options(threads: int) -> Any:
    """For a session of *threads*, 0 = as onnxruntime likes."""
    import onnxruntime

    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    made.log_severity_level = 4  # what is wrong comes as an exception, without paths on stderr
    return made


def check(sessions: Iterable[Any], gpu: int | None) -> None:
    """Raise `EngineUnavailable` unless *sessions* run where they were told to: onnxruntime falls back without a word."""
    if gpu is not None and any(session.get_providers()[0] != CUDA for session in sessions):
        raise EngineUnavailable(
            "onnxruntime cannot use the GPU: its CUDA and cuDNN libraries do not load; mend them, or set the device to cpu",
            at=None,
        )
