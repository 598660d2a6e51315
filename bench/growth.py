"""Whether the server's memory grows with the work that it has done."""

import wave
from collections.abc import Callable
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
    """Resident memory after 100 jobs of a second, after 1,000, and after 200 uploads of 20 MB more, at rest each time."""
    second, big = _second(home / "second.wav"), _big(home / "big.wav")
    with (
        Server(home / "service", SOTTOVOCE_SLOTS="2", SOTTOVOCE_SUBMIT_RATE="1e6", **environment()) as server,
        ThreadPoolExecutor(AT_ONCE) as clients,
    ):

        def many(number: int, path: Path, *, delete: bool = False) -> int:
            list(clients.map(_job(server, path, delete=delete), range(number)))
            if server.process is None:
                raise RuntimeError("no server")
            return machine.rss(server.process.pid)

        begun = many(1, second)
        first = many(FIRST, second)
        jobs = many(JOBS - FIRST, second)
        uploads = many(UPLOADS, big, delete=True)
    return {
        "jobs": JOBS,
        "uploads": UPLOADS,
        "upload_mb": UPLOAD_BYTES >> 20,
        "after_1_mb": round(begun / 1e6, 1),
        "after_100_mb": round(first / 1e6, 1),
        "after_1000_mb": round(jobs / 1e6, 1),
        "after_uploads_mb": round(uploads / 1e6, 1),
        "ratio": round(uploads / first, 3),
        "aim": 1.1,
    }


def _job(server: Server, path: Path, *, delete: bool) -> Callable[[int], None]:
    """Does a job from its submission to its transcript, and deletes it if asked to, so that the disk holds all uploads."""

    def work(_number: int) -> None:
        with server.client() as client:
            job = server.submit(path)
            until(lambda: client.get(f"/v2/jobs/{job}", params={"wait": 60}).json()["job"]["status"] == "done", "end")
            client.get(f"/v2/jobs/{job}/transcript").raise_for_status()
            if delete:
                client.delete(f"/v2/jobs/{job}").raise_for_status()

    return work
