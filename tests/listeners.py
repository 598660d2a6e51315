"""HTTP servers on threads for tests: they record requests, and a function gives the answers."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request. *headers* by lower-case name."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer."""

    status: int = 200
    body: bytes = b""


@dataclass
class Listener:
    """A listening server and the requests that it has received."""

    url: str
    heard: list[Asked] = field(default_factory=list)

    def about(self, job_id: str) -> list[Asked]:
        """The requests with this job's id."""
        return [each for each in self.heard if each.query.get("id") == job_id]


Answer = Callable[[Asked, int], Reply]
"""Maps a request and its number, from 1, to the answer."""


@contextmanager
def listening(answer: Answer = lambda _asked, _number: Reply()) -> Iterator[Listener]:
    """A server on loopback that gives each request to *answer*, on a thread of its own."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_CONNECT(self) -> None:
            """Act as a proxy for every server: this handler answers the requests through the tunnel."""
            self.send_response(200)
            self.end_headers()

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(method=self.command, target=self.path, headers=headers, body=body)
            with lock:
                there.heard.append(asked)
                number = len(there.heard)
            reply = answer(asked, number)
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = _any  # noqa: N815 - the library's names

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the server that asked was killed
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    there = Listener(url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
