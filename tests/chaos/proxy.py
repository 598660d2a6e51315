"""An HTTP proxy in front of an S3 server that can be told to fail, stall, hang up, or keep an answer back."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODES = ("pass", "error", "stall", "drop")
_HOP = frozenset({"connection", "transfer-encoding", "keep-alive"})
Wanted = Callable[[str, str], bool]
"""Whether a request of this method and path is meant."""


class Proxy:
    """Listens on a port of its own and passes everything to *backend* as long as its mode is `pass`."""

    def __init__(self, backend: int) -> None:
        self.mode = "pass"
        self._held: Wanted | None = None
        self._caught = threading.Event()
        self._let_go = threading.Event()
        self._healed = threading.Event()
        self._server = _Listener(("127.0.0.1", 0), _handler(self, backend))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self.heal()
        self._server.shutdown()
        self._server.server_close()

    def break_down(self, mode: str) -> None:
        """From now on fail in this way."""
        self._healed.clear()
        self.mode = mode

    def heal(self) -> None:
        """Pass everything again."""
        self.mode = "pass"
        self._healed.set()
        self._let_go.set()

    def wait_healed(self) -> None:
        """What a stalled request does."""
        self._healed.wait(120)

    @contextlib.contextmanager
    def holding(self, wanted: Wanted) -> Iterator[threading.Event]:
        """Keep the answer to the first *wanted* request back until the block ends; the event tells that there is one."""
        self._caught.clear()
        self._let_go.clear()
        self._held = wanted
        try:
            yield self._caught
        finally:
            self._held = None
            self._let_go.set()

    def passed(self, method: str, path: str) -> None:
        """The backend has done this request; its answer may have to wait."""
        if self._held and self._held(method, path):
            self._caught.set()
            self._let_go.wait(120)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in mid-request is what this proxy is for."""


def _handler(proxy: Proxy, backend: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            match proxy.mode:
                case "error":
                    self._answer(
                        500, [("content-type", "application/xml")], b"<Error><Code>InternalError</Code></Error>"
                    )
                case "stall":
                    proxy.wait_healed()
                    self.close_connection = True
                case "drop":
                    self.close_connection = True
                case _:
                    self._pass(body)

        def _pass(self, body: bytes) -> None:
            line = http.client.HTTPConnection("127.0.0.1", backend, timeout=120)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            try:
                line.request(self.command, self.path, body, headers)
                answer = line.getresponse()
                data = answer.read()
            finally:
                line.close()
            proxy.passed(self.command, self.path)
            self._answer(answer.status, answer.getheaders(), data)

        def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
            self.send_response_only(status)
            length = str(len(data))
            for name, value in headers:
                if name.lower() == "content-length":
                    length = value if self.command == "HEAD" else length
                elif name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("content-length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 - the library's names

    return Handler
