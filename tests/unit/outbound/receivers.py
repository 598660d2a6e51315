"""Receivers on loopback for tests: real sockets that do as a script says, and a canary that nobody may reach."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sottovoce.outbound import Limits, Method, Outbound, OutboundRequest, Policy

T = TypeVar("T")

HERE = "127.0.0.1"
CANARY = "127.0.0.2"

QUICK = Limits(
    wait=30,
    connect=10,
    silence=10,
    total=30,
    window=10,
    progress=1000,
    head_bytes=8 << 10,
    head_lines=20,
    body_bytes=64 << 10,
)
"""Generous in time, so that slow machines do not matter, and small in size."""


@dataclass
class Heard:
    """One request as it arrived."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for each, value in self.headers if each.lower() == name.lower()]
        assert len(found) < 2, found
        return found[0] if found else None


@dataclass
class Receiver:
    """A listener: *heard* requests, *connections* counted, *gone* set when the script of a connection has ended."""

    port: int
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    names: list[str | None] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/", host: str = HERE, scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Receiver], Awaitable[None]]


async def hear(reader: asyncio.StreamReader) -> Heard:
    """Read one request; its body by length or by chunks."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    line, *rest = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (each.partition(":") for each in rest)]
    heard = Heard(line, headers, b"")
    if heard.header("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            heard.body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        heard.body = await reader.readexactly(int(heard.header("content-length") or 0))
    return heard


def says(*answers: bytes) -> Script:
    """Hears a request and sends the next of *answers* (the last again and again), then closes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        receiver.heard.append(await hear(reader))
        writer.write(answers[min(len(receiver.heard), len(answers)) - 1])
        await writer.drain()

    return script


def endless(head: bytes, more: bytes, pause: float = 0.0) -> Script:
    """Hears a request, sends *head*, then *more* for ever, with *pause* seconds in between."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: Receiver) -> None:
        receiver.heard.append(await hear(reader))
        writer.write(head)
        while True:
            writer.write(more)
            await writer.drain()
            await asyncio.sleep(pause)

    return script


def answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """A well-formed answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(location: str, status: int = 302) -> bytes:
    return answer(b"", f"Location: {location}", status=f"{status} Elsewhere")


@asynccontextmanager
async def receiving(
    script: Script, host: str | Sequence[str] = HERE, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Receiver]:
    """A receiver at *host*, on a free port."""
    receiver = Receiver(port)
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.connections += 1
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            # cancelled when the test is over
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
                await script(reader, writer, receiver)
        finally:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()
            receiver.gone.set()
            tasks.discard(task)

    servers: list[asyncio.Server] = []
    hosts = [host] if isinstance(host, str) else host
    while len(servers) < len(hosts):
        try:
            servers.append(await asyncio.start_server(serve, hosts[len(servers)], receiver.port, ssl=tls))
            receiver.port = servers[0].sockets[0].getsockname()[1]
        except OSError:
            if port or not servers:
                raise
            servers.pop().close()  # somebody else has this port at the next address: another one
            receiver.port = 0
    try:
        yield receiver
    finally:
        for server in servers:
            server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in servers:
            await server.wait_closed()


@asynccontextmanager
async def canary(host: str | Sequence[str] = CANARY, port: int = 0) -> AsyncIterator[Receiver]:
    """A listener that answers everything; whoever opens it sees at the end that nobody came."""
    async with receiving(says(answer(b"secret")), host, port=port) as receiver:
        yield receiver
        await asyncio.sleep(0)
        assert receiver.connections == 0, "the canary was reached"


class Names:
    """A resolver of the test's own: answers by name, in turn; addresses in any spelling as the system takes them."""

    def __init__(self, names: Mapping[str, Sequence[Sequence[str]] | Sequence[str]]) -> None:
        self._names = names
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self._names:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
            return [str(address[0]) for *_, address in found]
        answers = self._names[host]
        if answers and isinstance(answers[0], str):
            return [each for each in answers if isinstance(each, str)]
        return list(answers[min(self.asked.count(host), len(answers)) - 1])


def opened(*allow: str, **rules: Any) -> Policy:
    """A policy that allows just *allow* besides the public."""
    return Policy.parse(allow=allow or (HERE,), **rules)


async def ask(
    outbound: Outbound,
    url: str,
    *,
    method: Method = "GET",
    limits: Limits = QUICK,
    lines: Sequence[str] = (),
    body: bytes = b"",
) -> tuple[int, bytes]:
    """Status and whole body of the answer to one request."""
    async with outbound.open(
        OutboundRequest(method=method, url=url, limits=limits, auth_headers=lines, body=body)
    ) as got:
        return got.status, b"".join([chunk async for chunk in got.chunks()])


def run(work: Coroutine[Any, Any, T]) -> T:
    """*work* in an event loop of its own, within a minute."""
    return asyncio.run(asyncio.wait_for(work, 60))
