"""An HTTP proxy in front of an S3 server that can fail, stall, disconnect, or hold an answer back."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODES = ("pass", "error", "stall", "drop", "read-only")
_HOP = frozenset({"connection", "transfer-encoding", "keep-alive"})
Wanted = Callable[[str, str], bool]
"""True for the requests, by method and path, whose answer is held back."""


class Proxy:
    """Listens on a port of its own and passes everything to *backend* while its mode is `pass`."""

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
        """The URL of the proxy."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self.heal()
        self._server.shutdown()
        self._server.server_close()

    def break_down(self, mode: str) -> None:
        """Fail in the way of *mode* from now on."""
        self._healed.clear()
        self.mode = mode

    def heal(self) -> None:
        """Pass everything again."""
        self.mode = "pass"
        self._healed.set()
        self._let_go.set()

    def wait_healed(self) -> None:
        """Block a stalled request until the proxy is healed."""
        self._healed.wait(120)

    @contextlib.contextmanager
    def holding(self, wanted: Wanted) -> Iterator[threading.Event]:
        """Hold the answer to the first *wanted* request until the block ends; the yielded event is set once there is one."""
        self._caught.clear()
        self._let_go.clear()
        self._held = wanted
        try:
            yield self._caught
        finally:
            self._held = None
            self._let_go.set()

    def passed(self, method: str, path: str) -> None:
        """Called when the backend has answered this request; waits if its answer is held."""
        if self._held and self._held(method, path):
            self._caught.set()
            self._let_go.wait(120)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignored: faults kill clients during their requests."""


def _handler(proxy: Proxy, backend: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Log nothing."""

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            match proxy.mode:
                case "error":
                    self._answer(
                        500, [("content-type", "application/xml")], b"<Error><Code>InternalError</Code></Error>"
                    )
                case "read-only" if self.command not in {"GET", "HEAD"}:
                    self._answer(
                        403, [("content-type", "application/xml")], b"<Error><Code>AccessDenied</Code></Error>"
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
