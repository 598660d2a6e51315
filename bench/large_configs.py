"""How long `/health/live` takes while many clients submit, read and list jobs with the largest legal configs."""

import asyncio
import http.client
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import aiohttp

from bench import machine
from tests.chaos.attacks import largest
from tests.servers import ROOT, Server
from tests.sleeper import environment

DEMO = ROOT / "samples" / "demo.wav"
CLIENTS = 20
SECONDS = 30.0
EVERY = 0.05
"""Seconds between two requests to `/health/live`."""


def configs() -> list[str]:
    """The largest legal configs, as JSON: the most values, the longest vocabulary, the longest text."""
    return [json.dumps(largest(what)) for what in ("values", "vocabulary", "text")]


def _clients(url: str, key: str, seconds: float, counts: "multiprocessing.Queue[dict[str, int]]") -> None:
    """Clients of one process: each submits, reads its job, lists, and reads its transcript, one after the other."""
    counts.put(asyncio.run(_work(url, key, seconds)))


async def _work(url: str, key: str, seconds: float) -> dict[str, int]:
    media, bodies = DEMO.read_bytes(), configs()
    end = time.monotonic() + seconds
    done = {"submitted": 0, "read": 0, "listed": 0, "transcripts": 0, "megabytes": 0, "refused": 0}
    received = 0
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {key}"}) as session:

        async def get(name: str, path: str) -> None:
            nonlocal received
            async with session.get(path) as answer:
                async for piece in answer.content.iter_any():
                    received += len(piece)
                done[name if answer.status == 200 else "refused"] += 1

        async def client(number: int) -> None:
            turn = number
            while time.monotonic() < end:
                form = aiohttp.FormData()
                form.add_field("config", bodies[turn % len(bodies)])
                form.add_field("data_file", media, filename="a.wav")
                async with session.post("/v2/jobs", data=form) as answer:
                    job = (await answer.json())["id"]
                done["submitted"] += 1
                turn += 1
                await get("read", f"/v2/jobs/{job}")
                await get("listed", "/v2/jobs" if turn % 2 else "/v1.0/user/1/jobs/")
                await get("transcripts", f"/v2/jobs/{job}/transcript?wait=5")

        await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return {**done, "megabytes": received >> 20}


def _probe(url: str, seconds: float) -> list[float]:
    """Milliseconds that `/health/live` takes, again and again on one connection."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    taken: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.perf_counter()
        connection.request("GET", "/health/live")
        connection.getresponse().read()
        taken.append((time.perf_counter() - begun) * 1000)
        time.sleep(EVERY)
    return taken


def large_configs(home: Path) -> dict[str, Any]:
    """Milliseconds of `/health/live` at rest and while 20 clients use the largest legal configs; memory of the server."""
    with Server(home / "service", SOTTOVOCE_SLOTS="2", **environment()) as server:
        if server.process is None:
            raise RuntimeError("no server")
        server.wait(server.submit(DEMO))
        rest = _probe(server.url, 3)
        before = machine.rss(server.process.pid)
        machine.reset_peak(server.process.pid)
        counts: multiprocessing.Queue[dict[str, int]] = multiprocessing.Queue()
        clients = multiprocessing.Process(target=_clients, args=(server.url, server.key, SECONDS, counts))
        clients.start()
        taken = _probe(server.url, SECONDS)
        done = counts.get(timeout=600)
        clients.join()
        peak = machine.peak_rss(server.process.pid)
    return {
        "clients": CLIENTS,
        "requests": done,
        "rest_p99_ms": round(machine.percentile(rest, 0.99), 1),
        "p50_ms": round(machine.percentile(taken, 0.5), 1),
        "p99_ms": round(machine.percentile(taken, 0.99), 1),
        "most_ms": round(max(taken), 1),
        "n": len(taken),
        "aim_p99_ms": 50,
        "rss_mb": round(before / 1e6),
        "peak_rss_mb": round(peak / 1e6),
    }
