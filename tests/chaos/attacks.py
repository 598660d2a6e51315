"""What strangers and key holders do to a server on purpose: functions in the table of `faults.py`.

In order: without a key (connections and their bytes), with a key (small requests that ask for much).
"""

import contextlib
import json
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from sottovoce.wire.v2.config import MAX_CONFIG_BYTES, MAX_VALUES
from tests.chaos.media import Media
from tests.chaos.rounds import Round
from tests.chaos.worlds import HEAD_TIMEOUT, MAX_MEDIA_HOURS, PER_ADDRESS, TRANSFER_TIMEOUT, soon
from tests.servers import CONFIG, PATIENCE, Server, tls, until

GROWTH = 200 << 20
"""Bytes by which the server may grow during an attack: far below what the bytes of the attack could become."""
DESCRIPTORS = 256 + 60
"""Open files of the server in `low_descriptors`: its own 256 and 60 connections."""
_CHUNKED = "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"


# ── without a key ──


def trailers(round_: Round) -> None:
    """Megabytes behind the end of a body: trailers, extensions of chunks, or headers."""
    server = round_.world.api
    what, lines = round_.rng.choice((
        ("trailers", f"POST /v2/jobs HTTP/1.1\r\n{_CHUNKED}0\r\n|a:\r\n"),
        ("extensions", f"POST /v2/jobs HTTP/1.1\r\n{_CHUNKED}|1;{'x' * 4000}\r\na\r\n"),
        ("headers", "GET /v2/jobs HTTP/1.1\r\nHost: x\r\n|a: b\r\n"),
    ))  # fmt: skip
    round_.ledger.counts[what] += 1
    head, _, line = lines.partition("|")
    piece = line.encode() * ((1 << 16) // len(line) + 1)
    with _growing_little(server), _connected(server, head.encode()) as sock:
        with contextlib.suppress(ConnectionError):
            for _ in range(round_.rng.randint(100, 500)):  # up to 32 MB
                sock.sendall(piece)
        found = _received(sock)
        if found and found.split()[1] not in {b"400", b"401", b"431"}:
            raise AssertionError(f"{what} were answered with {found[:200]!r}")
    round_.submit()


def idle_connections(round_: Round) -> None:
    """As many silent connections as one address may have, at several stages of a request; a client that is connected works on."""
    server = round_.world.api
    stages = (
        "",
        "GET /v2/jobs HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        f"POST /v2/jobs HTTP/1.1\r\nAuthorization: Bearer {server.key}\r\n{_CHUNKED}5\r\n--b\r\n",
    )
    with round_.client() as client, contextlib.ExitStack() as stack:
        client.get("/health/live")
        held = [
            stack.enter_context(_connected(server, round_.rng.choice(stages).encode())) for _ in range(PER_ADDRESS - 1)
        ]
        with _connected(server) as one_more:
            found = _received(one_more)
        if found and found.split()[1] != b"503":
            raise AssertionError(f"a connection too many was answered with {found[:200]!r}")
        client.get("/health/live").raise_for_status()
        for sock in held:  # all are closed in the end, whatever stage they stopped at
            sock.settimeout(HEAD_TIMEOUT + TRANSFER_TIMEOUT + PATIENCE)
            _received(sock)
    round_.submit()


def slow_reader(round_: Round) -> None:
    """Ask for a hundred pages at once and read none of them, until the server gives up."""
    server = round_.world.api
    page = httpx.get(f"{server.url}/openapi.json", verify=tls()).content
    asked = max(100, (32 << 20) // len(page))
    with _growing_little(server), _connected(server, small=True) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * asked)
        time.sleep(TRANSFER_TIMEOUT + 2)
        found = _received(sock)
    if len(found) >= asked * len(page):
        raise AssertionError("a response that was not read was kept until it was")
    round_.submit()


def low_descriptors(round_: Round) -> None:
    """A second server with few open files, more silent connections than it has room for, and a job over one from before."""
    environment = {name: value for name, value in round_.world.environment().items() if name != "CHAOS_MARK"}
    more = {"SOTTOVOCE_HEAD_TIMEOUT": "600", "SOTTOVOCE_MAX_CONNECTIONS_PER_ADDRESS": "1000"}
    server = Server(round_.world.home / f"few-{round_.key()}", **environment | more)
    with _limited(server, DESCRIPTORS), server.client() as client, contextlib.ExitStack() as stack:
        client.get("/health/live").raise_for_status()
        for _ in range(DESCRIPTORS - 200):
            stack.enter_context(_connected(server))
        answer = client.post(
            "/v2/jobs",
            data={"config": json.dumps(CONFIG)},
            files={"data_file": ("a.wav", round_.media().path.read_bytes())},
        )
        answer.raise_for_status()
        path = f"/v2/jobs/{answer.json()['id']}"
        until(lambda: client.get(path).json()["job"]["status"] == "done", "end of the job")
        lines = server.lines()
    if not any(line["event"] == "few file descriptors" for line in lines):
        raise AssertionError("the log does not tell that there are few descriptors")
    if errors := [line for line in lines if line["level"] in {"error", "critical"}]:
        raise AssertionError(f"log of the server with few descriptors: {str(errors)[:1500]}")


# ── with a key ──


def big_config(round_: Round) -> None:
    """The largest legal config of one kind, read and listed by several clients while it runs."""
    what = round_.rng.choice(("values", "vocabulary", "text"))
    round_.ledger.counts[what] += 1
    config = largest(what)
    with _growing_little(round_.world.api, 3 * GROWTH):
        job_id = round_.post(round_.media(), round_.key(), json.dumps(config))
        if job_id is None:
            raise AssertionError(f"the largest legal config was not taken: {round_.ledger}")
        threads = [round_.in_background(lambda: _read(round_, job_id, config)) for _ in range(3)]
        for thread in threads:
            thread.join()
        round_.ended(job_id)
    if round_.ledger.counts["came back"] != len(threads):
        raise AssertionError(f"a config did not come back as it was: {round_.ledger.counts}")
    round_.delete(job_id)


def _read(round_: Round, job_id: str, config: dict[str, Any]) -> None:
    with round_.client() as client:
        one = client.get(f"/v2/jobs/{job_id}", params={"wait": 0}).json()["job"]
        listed = [job for job in client.get("/v2/jobs").json()["jobs"] if job["id"] == job_id]
        client.get("/health/live").raise_for_status()
    round_.ledger.counts["came back"] += one["config"] == config and [job["config"] for job in listed] == [config]


def largest(what: str) -> dict[str, Any]:
    """A config of about 4 MB and as many values as are legal."""
    asked: dict[str, Any] = {"language": "en"}
    config: dict[str, Any] = {"type": "transcription", "transcription_config": asked}
    match what:
        case "values":
            config["tracking"] = {"details": {"v": [[] for _ in range(MAX_VALUES - 20)]}}
        case "vocabulary":
            sounds = [f"s{number:02}{'x' * 25}" for number in range(100)]
            asked["additional_vocab"] = [{"content": f"w{number}", "sounds_like": sounds} for number in range(1000)]
        case _:
            config["tracking"] = {"details": {"v": "x" * (MAX_CONFIG_BYTES - 1000)}}
    return config


def long_media(round_: Round) -> None:
    """A few kilobytes that decode to more hours than are allowed; with the length in its header, or without."""
    declared = round_.rng.random() < 0.3
    path = _silence(round_.world.home / f"long-{declared}.flac", declared=declared)
    job_id = round_.post(Media(path=path, expected=b""), round_.key())
    round_.ledger.counts["refused at once" if job_id is None else "refused while decoded"] += 1
    if declared != (job_id is None):
        raise AssertionError(f"media that declares its length: {declared}, accepted as {job_id}")
    if job_id is not None:
        round_.ended(job_id)
        if (state := round_.row(job_id).reason) != "invalid_audio":
            raise AssertionError(f"long media ended as {state}")
        round_.delete(job_id)
    round_.submit()


def _silence(path: Path, *, declared: bool) -> Path:
    """A FLAC file of silence, a tenth longer than allowed; unless *declared* its header does not say how long."""
    import av
    import numpy as np

    rate = 8000
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout="mono")
        for _ in range(round(MAX_MEDIA_HOURS * 66)):  # minutes
            frame = av.AudioFrame.from_ndarray(np.zeros((1, rate * 60), np.int16), format="s16", layout="mono")
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if not declared:
        data = bytearray(path.read_bytes())
        data[21] &= 0xF0  # STREAMINFO: 36 bits for the number of samples, 0 for unknown
        data[22:26] = bytes(4)
        path.write_bytes(data)
    return path


# ── connections, memory, descriptors ──


@contextlib.contextmanager
def _connected(server: Server, sent: bytes = b"", *, small: bool = False) -> Iterator[socket.socket]:
    """A connection on which *sent* was sent; with a *small* buffer for what it receives."""
    url = httpx.URL(server.url)
    with socket.socket() as sock:
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(PATIENCE)
        sock.connect((url.host, url.port or 0))
        with contextlib.suppress(ConnectionError):
            sock.sendall(sent)
        yield sock


def _received(sock: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := sock.recv(1 << 16):
            found += piece
    return found


@contextlib.contextmanager
def _growing_little(server: Server, most: int = GROWTH) -> Iterator[None]:
    """Check that *server* has not grown by more than *most* bytes, and that it still answers."""
    before = _resident(server)
    yield
    if (grown := _resident(server) - before) > most:
        raise AssertionError(f"the server grew by {grown >> 20} MB")
    httpx.get(f"{server.url}/health/live", timeout=PATIENCE, verify=tls()).raise_for_status()


def _resident(server: Server) -> int:
    if server.process is None:
        raise AssertionError("the server does not run")
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


@contextlib.contextmanager
def _limited(server: Server, descriptors: int) -> Iterator[None]:
    """Start *server* with a limit of open files, which it cannot raise; stop it at the end."""
    starting = threading.Thread(target=server.start)
    starting.start()
    soon(lambda: server.process, "process")
    if server.process is None:
        raise AssertionError("no process")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))  # long before it looks
    try:
        starting.join()
        yield
    finally:
        server.stop()
