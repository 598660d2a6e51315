"""Measures the service's overhead around the engine, in time and memory: `python -m bench.jobs [--only NAME …] [--out FILE]`.

Every figure is a ratio to a baseline measured in the same run. Nothing here runs in `make test`.

Parts: the bare engine (`throughput`), latency and rates (`latency`, `accepts`, `status`), size (`upload`, `memory`), the list
(`listing`).
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import sqlalchemy as sa

from bench import growth, large_configs, machine
from tests.backends import Postgres, free_port
from tests.servers import ROOT, Server, until

DEMO = ROOT / "samples" / "demo.wav"
CONFIG = json.dumps({"type": "transcription", "transcription_config": {"language": "en"}})
RATE = 16_000


def _speech() -> bytes:
    with wave.open(str(DEMO)) as file:
        return bytes(file.readframes(file.getnframes()))


def _wav(path: Path, seconds: float, *, every: float = 0.0) -> Path:
    """A WAV file of *seconds* with the demo's speech repeated; *every* > 0: once in *every* seconds, silence between."""
    speech = _speech()
    unit = speech + bytes(max(0, round(every * RATE) * 2 - len(speech)))
    left = round(seconds * RATE) * 2
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        while left > 0:
            file.writeframesraw(unit[:left])
            left -= len(unit)
    return path


# ── the bare engine ──


def _bare(paths: list[str]) -> float:
    """Seconds that a warm engine process takes for *paths*, with the same code for reading and recognising and no service."""
    from sottovoce.engines.common.silero_vad import SileroVad
    from sottovoce.engines.pocketsphinx.recognizer import PocketSphinx
    from sottovoce.engines.protocols import Skill
    from sottovoce.pipeline import batch
    from sottovoce.pipeline.engine_set import LoadedEngines
    from sottovoce.request import TranscriptionRequest

    class Silent:
        def media(self, probe: object) -> None: ...
        def stage(self, name: str, note: str = "", trace: str = "") -> None: ...
        def progress(self, done: int, total: int | None) -> None: ...
        def stretch(self, stretch: object, language: str) -> None: ...

        def window(self, window: object) -> None: ...

    engines = LoadedEngines({Skill.TRANSCRIPTION: PocketSphinx()})
    SileroVad()
    begun = time.monotonic()
    for path in paths:
        work = batch.Work(path=Path(path), request=TranscriptionRequest(language="en"), clock=lambda: 0)
        batch.transcribe(work, engines, SileroVad, Silent())
    return time.monotonic() - begun


def throughput(home: Path) -> dict[str, Any]:
    """Wall time of the service's slots against the same number of bare processes, for many short and few long files."""
    slots = 2
    result: dict[str, Any] = {"slots": slots, "aim": 0.95}
    sets = {
        "20 x 10 s": [_wav(home / f"s{n}.wav", 10) for n in range(20)],
        "2 x 10 min": [_wav(home / f"l{n}.wav", 600) for n in range(2)],
    }
    with Server(home / "service", SOTTOVOCE_SLOTS=str(slots)) as server:
        for name, paths in sets.items():
            with multiprocessing.get_context("spawn").Pool(slots) as pool:
                shares = [[str(path) for path in paths[n::slots]] for n in range(slots)]
                bare = max(pool.map(_bare, shares, chunksize=1))
            begun = time.monotonic()
            ids = [server.submit(path) for path in paths]
            for job_id in ids:
                server.wait(job_id)
            service = time.monotonic() - begun
            result[name] = {"bare_s": round(bare, 2), "service_s": round(service, 2), "ratio": round(bare / service, 3)}
    return result


# ── latency and rates ──


def latency(home: Path) -> dict[str, Any]:
    """Seconds from submission to done of a one-second file, minus the engine's time for it."""
    path = _wav(home / "one.wav", 1)
    bare = statistics.median(_bare([str(path)]) for _ in range(5))
    taken = []
    # the default of the product; servers of tests ask their queue less often
    with Server(home / "service", SOTTOVOCE_POLL_INTERVAL="0.1") as server, server.client() as client:
        for _ in range(40):
            begun = time.monotonic()
            job_id = server.submit(path)
            while client.get(f"/v2/jobs/{job_id}", params={"wait": "10"}).json()["job"]["status"] == "running":
                pass
            taken.append(time.monotonic() - begun - bare)
    p50, p95 = machine.percentile(taken, 0.5), machine.percentile(taken, 0.95)
    return {
        "engine_s": round(bare, 3),
        "p50_s": round(p50, 3),
        "p95_s": round(p95, 3),
        "n": len(taken),
        "aim_p95_s": 0.15,
    }


async def _hammer(
    url: str, headers: dict[str, str], seconds: float, send: Callable[[aiohttp.ClientSession], Any]
) -> float:
    """Requests per second with 16 connections."""
    count = 0
    end = time.monotonic() + seconds
    async with aiohttp.ClientSession(url, headers=headers) as session:

        async def one() -> None:
            nonlocal count
            while time.monotonic() < end:
                async with send(session) as answer:
                    await answer.read()
                    if answer.status >= 400:
                        raise RuntimeError(answer.status)
                count += 1

        await asyncio.gather(*(one() for _ in range(16)))
    return count / seconds


def accepts(home: Path) -> dict[str, Any]:
    """Durable accepts per second of one-second files, in an API process without a worker's load."""
    data = _wav(home / "one.wav", 1).read_bytes()
    with Server(home / "service", SOTTOVOCE_ROLES="api,batch", SOTTOVOCE_POLL_INTERVAL="30") as server:

        def send(session: aiohttp.ClientSession) -> Any:
            form = aiohttp.FormData()
            form.add_field("data_file", data, filename="one.wav")
            form.add_field("config", CONFIG)
            return session.post("/v2/jobs", data=form)

        rate = asyncio.run(_hammer(server.url, {"Authorization": f"Bearer {server.key}"}, 8, send))
        return {"per_second": round(rate, 1), "aim": 100, "rows": _count(server)}


def _count(server: Server) -> int:
    engine = sa.create_engine(f"sqlite:///{server.data}/eu1/region.db")
    with engine.connect() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM jobs")).scalar_one())


@contextlib.contextmanager
def _plain(home: Path) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.baseline", str(port), str(home)], cwd=ROOT)
    try:
        until(lambda: _listens(port), "baseline")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def status(home: Path) -> dict[str, Any]:
    """Status requests per second against the same route with a constant answer, alternating, best of three each."""
    with Server(home / "service", SOTTOVOCE_READ_RATE="1e9") as server, _plain(home) as plain:
        job_id = server.submit(DEMO)
        server.wait(job_id)
        headers = {"Authorization": f"Bearer {server.key}"}

        def rate(url: str) -> float:
            return asyncio.run(_hammer(url, headers, 4, lambda session: session.get(f"/v2/jobs/{job_id}")))

        rounds = [(rate(plain), rate(server.url)) for _ in range(3)]
    constant, ours = max(a for a, _ in rounds), max(b for _, b in rounds)
    return {
        "constant_per_s": round(constant),
        "ours_per_s": round(ours),
        "ratio": round(ours / constant, 3),
        "aim": 0.5,
    }


# ── size ──


def _send(url: str, head: bytes, prologue: bytes, size: int, epilogue: bytes) -> tuple[int, float]:
    """Send a body of *size* bytes of silence between *prologue* and *epilogue*; return status and seconds."""
    host, _, port = url.removeprefix("http://").partition(":")
    piece = bytes(1 << 20)
    begun = time.monotonic()
    with socket.create_connection((host, int(port))) as sock:
        length = len(prologue) + size + len(epilogue)
        sock.sendall(head + f"Content-Length: {length}\r\nHost: bench\r\nConnection: close\r\n\r\n".encode() + prologue)
        left = size
        while left:
            sock.sendall(piece[:left] if left < len(piece) else piece)
            left -= min(left, len(piece))
        sock.sendall(epilogue)
        answer = sock.makefile("rb").read()
    return int(answer.split(b" ", 2)[1]), time.monotonic() - begun


def upload(home: Path, gib: float = 4.0) -> dict[str, Any]:
    """Memory that a large upload adds to the server, and its speed against a raw body written to a synced file."""
    size = round(gib * 2**30)
    header = b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes.fromhex(
        "10000000010001001027000020 4e000002001000".replace(" ", "")
    )
    header += b"data\xff\xff\xff\xff"
    start = b'--b\r\nContent-Disposition: form-data; name="config"\r\n\r\n' + CONFIG.encode()
    start += b'\r\n--b\r\nContent-Disposition: form-data; name="data_file"; filename="big.wav"\r\n\r\n' + header
    with (
        Server(home / "service", SOTTOVOCE_MAX_UPLOAD_BYTES=str(size * 2), SOTTOVOCE_ROLES="api,batch") as server,
        _plain(home) as plain,
    ):
        if server.process is None:
            raise RuntimeError("no server")
        pid = server.process.pid
        server.wait(server.submit(DEMO))
        before = machine.rss(pid)
        machine.reset_peak(pid)
        head = f"POST /v2/jobs HTTP/1.1\r\nAuthorization: Bearer {server.key}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        code, ours = _send(server.url, head.encode(), start, size, b"\r\n--b--\r\n")
        peak = machine.peak_rss(pid)
        with server.client() as client:
            for job in client.get("/v2/jobs").json()["jobs"]:
                client.delete(f"/v2/jobs/{job['id']}", params={"force": "true"})
        _, raw = _send(plain, b"POST /raw HTTP/1.1\r\n", b"", size, b"")
    return {
        "gib": gib,
        "status": code,
        "added_mb": round((peak - before) / 1e6, 1),
        "aim_mb": 30,
        "ours_mb_s": round(size / ours / 1e6),
        "raw_mb_s": round(size / raw / 1e6),
        "ratio": round(raw / ours, 3),
        "aim": 0.8,
    }


def memory(home: Path, hours: float = 10.0) -> dict[str, Any]:
    """Peak memory of the engine process over a ten-hour file (speech once in five minutes), above the warm engine."""
    path = _wav(home / "long.wav", hours * 3600, every=300)
    with Server(home / "service") as server:
        server.wait(server.submit(DEMO))
        children = {pid: machine.rss(pid) for pid in server.children()}
        for pid in children:
            machine.reset_peak(pid)
        begun = time.monotonic()
        job_id = server.submit(path)
        until(lambda: server.job(job_id)["status"] != "running", "end of the long job", 1800)
        taken = time.monotonic() - begun
        added = max(machine.peak_rss(pid) - rss for pid, rss in children.items())
        state = server.job(job_id)
    return {
        "hours": hours,
        "status": state["status"],
        "duration_s": state["duration"],
        "added_mb": round(added / 1e6, 1),
        "aim_mb": 300,
        "seconds": round(taken, 1),
    }


# ── the list ──


def _fill(url: str, count: int) -> None:
    from sottovoce.service.storage import schema as t
    from sottovoce.service.storage.database import Database

    database = Database(url)
    row = {
        "region": "eu1", "workspace_id": 1, "project_id": 1, "api": "v2", "type": "transcription", "state": "done",
        "language": "en", "operating_point": "standard", "data_name": "a.wav", "queue": "batch", "errors": [],
        "media_bytes": 1, "duration_ms": 1000, "attempt": 1, "failures": 0, "progress": 1.0, "priority": 10,
    }  # fmt: skip
    now = time.time_ns() // 1_000_000
    with database.writing() as connection:
        for first in range(0, count, 10_000):
            part = range(first, min(count, first + 10_000))
            values = [{**row, "id": f"x{n:09}", "v1_id": n, "created_at": now - (count - n) * 10} for n in part]
            connection.execute(sa.insert(t.jobs), values)
        connection.execute(sa.text("ANALYZE"))
    database.close()


def _list(url: str) -> tuple[float, str]:
    """Median milliseconds of the list's statement, and its plan."""
    from sottovoce.service.identity.api_keys import Caller
    from sottovoce.service.jobs import repository
    from sottovoce.service.storage.database import Database

    database = Database(url)
    caller = Caller(key_id="k", project_id=1, workspace_id=1, user_id=None)
    taken, statements = [], []
    with database.reading() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *about: statements.append(about[2:4]))
        for _ in range(101):
            begun = time.perf_counter()
            repository.list_recent(connection, caller, limit=100, days=7.0)
            taken.append((time.perf_counter() - begun) * 1000)
        text, values = next(each for each in statements if each[0].startswith("SELECT"))
        prefix = "EXPLAIN QUERY PLAN " if database.embedded else "EXPLAIN (COSTS OFF) "
        plan = connection.exec_driver_sql(prefix + text, values).all()
    database.close()
    return statistics.median(taken), " | ".join(str(line[-1]).strip() for line in plan)


def listing(home: Path) -> dict[str, Any]:
    """The list of 100 jobs out of a million against out of a thousand, on both databases."""
    from sottovoce.service.storage import migrate
    from sottovoce.service.storage.database import Database, sqlite_url

    result: dict[str, Any] = {"aim": 1.5}
    with Postgres() as postgres:
        for backend in ("sqlite", "postgresql"):
            figures = {}
            for count in (1_000, 1_000_000):
                name = f"jobs_{count}"
                url = sqlite_url(home / f"{name}.db") if backend == "sqlite" else postgres.create(name)
                database = Database(url)
                migrate.upgrade(database, migrate.REGION)
                database.close()
                _fill(url, count)
                figures[count] = _list(url)
            (small, plan), (large, same) = figures[1_000], figures[1_000_000]
            result[backend] = {
                "ms_of_1000": round(small, 2),
                "ms_of_1000000": round(large, 2),
                "ratio": round(large / small, 2),
                "same_plan": plan == same,
                "plan": same,
            }
    return result


MEASURES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "throughput": throughput,
    "latency": latency,
    "accepts": accepts,
    "status": status,
    "upload": upload,
    "memory": memory,
    "listing": listing,
    "large_configs": large_configs.large_configs,
    "growth": growth.growth,
}


def main() -> None:
    """Run the selected measurements and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--out", type=Path)
    wanted = parser.parse_args()
    result: dict[str, Any] = {"machine": machine.fingerprint()}
    for name in wanted.only:
        with tempfile.TemporaryDirectory(prefix="sottovoce-bench-") as home:
            print(f"{name} …", file=sys.stderr, flush=True)
            result[name] = MEASURES[name](Path(home))
            print(json.dumps(result[name]), file=sys.stderr, flush=True)
    text = json.dumps(result, indent=2)
    print(text)
    if wanted.out:
        wanted.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
