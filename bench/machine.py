"""The machine of a measurement: its fingerprint, memory of processes, rounding of figures."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


def fingerprint() -> dict[str, Any]:
    """Processor, memory, kernel, Python, and the packages whose speed affects the figures."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().splitlines()[0].split()[1]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory) / 2**20, 1),
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in ("sottovoce", "dbos", "uvicorn", "pocketsphinx", "av", "obstore")},
        "load_before": os.getloadavg()[0],
    }


def rss(pid: int) -> int:
    """Resident bytes of *pid*."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_rss(pid: int) -> int:
    """Peak resident bytes of *pid*."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def reset_peak(pid: int) -> None:
    """Reset the peak of *pid*."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def percentile(values: list[float], share: float) -> float:
    """The value below which *share* of *values* lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def rounded(value: Any) -> Any:
    """*value* with every number rounded to four decimals, the precision of the measurements."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list | tuple) else value


def tell(text: str) -> None:
    """Print *text* to standard error, as progress for the user."""
    print(text, file=sys.stderr, flush=True)
