"""Devices, execution providers and session options for the engines that use onnxruntime."""

import re
from collections.abc import Iterable
from typing import Any

from sottovoce.errors import EngineUnavailable

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_DEVICE = re.compile(r"cpu|cuda(?::(\d{1,3}))?")


def gpu_of(device: str, what: str) -> int | None:
    """The number of the GPU that *device* names; None for the CPU.

    Raises `EngineUnavailable` for any other device; *what* names the engine in its message.
    """
    found = _DEVICE.fullmatch(device)
    if found is None:
        raise EngineUnavailable(f"{what} runs on cpu, cuda or cuda:N, not on {device!r}", at=None)
    return None if device == "cpu" else int(found[1] or 0)


def providers(gpu: int | None) -> list[Any]:
    """The execution providers for GPU number *gpu* (None: the CPU). Raises `EngineUnavailable` without a CUDA build."""
    import onnxruntime

    if gpu is None:
        return [CPU]
    if CUDA not in onnxruntime.get_available_providers():
        raise EngineUnavailable(
            "the installed onnxruntime has no CUDA support: install onnxruntime-gpu instead, or set the device to cpu",
            at=None,
        )
    return [(CUDA, {"device_id": gpu}), CPU]


def options(threads: int) -> Any:
    """Session options for runs with *threads* threads, 0 = onnxruntime's default."""
    import onnxruntime

    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    made.log_severity_level = 4  # fatal only: errors are raised as exceptions, and stderr gets no paths
    return made


def check(sessions: Iterable[Any], gpu: int | None) -> None:
    """Raise `EngineUnavailable` if *sessions* do not run on the requested *gpu*: onnxruntime falls back silently."""
    if gpu is not None and any(session.get_providers()[0] != CUDA for session in sessions):
        raise EngineUnavailable(
            "onnxruntime cannot use the GPU: its CUDA and cuDNN libraries do not load; repair them, or set the device to cpu",
            at=None,
        )
