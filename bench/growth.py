"""Whether the server's memory grows with the work that it has done."""

import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import machine
from tests.servers import ROOT, Server, until
from tests.sleeper import environment

DEMO = ROOT / "samples" / "demo.wav"
JOBS, FIRST, UPLOADS = 1000, 100, 200
AT_ONCE = 8
"""Clients that submit at the same time."""
UPLOAD_BYTES = 20 << 20


def _second(path: Path) -> Path:
    """A WAV file of one second of speech."""
    with wave.open(str(DEMO)) as source, wave.open(str(path), "wb") as file:
        file.setparams(source.getparams())
        file.writeframesraw(source.readframes(source.getframerate()))
    return path


def _big(path: Path) -> Path:
    """A WAV file of `UPLOAD_BYTES` and a few seconds: eight channels at 192 kHz, so that the engine does not take the time."""
    with wave.open(str(path), "wb") as file:
        file.setparams((8, 4, 192_000, 0, "NONE", ""))
        file.writeframesraw(bytes(UPLOAD_BYTES))
    return path


def growth(home: Path) -> dict[str, Any]:
    """Resident memory after the first 100 of 1,000 jobs of a second with 200 uploads of 20 MB between them, and after all."""
    second, big = _second(home / "second.wav"), _big(home / "big.wav")
    with (
        Server(home / "service", SOTTOVOCE_SLOTS="2", SOTTOVOCE_SUBMIT_RATE="1e6", **environment()) as server,
        ThreadPoolExecutor(AT_ONCE) as clients,
    ):
        every = JOBS // UPLOADS + 1

        def work(number: int) -> None:
            _work(server, second if number % every else big)

        def after(numbers: range) -> float:
            list(clients.map(work, numbers))
            if server.process is None:
                raise RuntimeError("no server")
            return round(machine.rss(server.process.pid) / 1e6, 1)

        begun = after(range(1, 2))
        first = after(range(FIRST))
        half = after(range(FIRST, (JOBS + UPLOADS) // 2))
        end = after(range((JOBS + UPLOADS) // 2, JOBS + UPLOADS))
    return {
        "jobs": JOBS,
        "uploads": UPLOADS,
        "upload_mb": UPLOAD_BYTES >> 20,
        "after_1_mb": begun,
        "after_100_mb": first,
        "after_half_mb": half,
        "after_all_mb": end,
        "ratio": round(end / first, 3),
        "aim": 1.1,
    }


def _work(server: Server, path: Path) -> None:
    """A job from its submission to its transcript; it is deleted then, so that the disk holds all uploads."""
    with server.client() as client:
        job = server.submit(path)
        until(
            lambda: client.get(f"/v2/jobs/{job}", params={"wait": 60}).json()["job"]["status"] == "done", "end of a job"
        )
        client.get(f"/v2/jobs/{job}/transcript").raise_for_status()
        client.delete(f"/v2/jobs/{job}").raise_for_status()
