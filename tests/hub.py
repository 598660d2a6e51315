"""A model hub on loopback: repositories in memory, at the same paths as on the real hub and its mirrors.

Requests for large files are redirected to a store of another origin, with ranges, those for small ones to another path. Tests
set faults. `test_the_hub_s_own_client_understands_the_stand_in` checks it with huggingface_hub.
"""

import hashlib
import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import unquote, urlsplit

PATIENCE = 60.0
LARGE = 10_000
"""Least size in bytes of a file that is in the store, with its SHA-256 in the description."""
STEP = 1 << 14


@dataclass
class Repository:
    """Files at one commit; *key*: the token that requests need."""

    files: dict[str, bytes]
    commit: str = "c" * 40
    key: str | None = None

    def described(self, name: str, *, sizes: bool) -> dict[str, Any]:
        """One entry of `siblings`; a mirror may leave sizes and checksums out."""
        content = self.files[name]
        entry: dict[str, Any] = {"rfilename": name}
        if sizes:
            entry |= {"size": len(content), "blobId": blob(content)}
            if len(content) >= LARGE:
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
        return entry


def blob(content: bytes) -> str:
    """Git's blob id of *content*."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def tag(content: bytes) -> str:
    """The hub's ETag of *content*: SHA-256 of a large file, git's blob id of a small one."""
    return hashlib.sha256(content).hexdigest() if len(content) >= LARGE else blob(content)


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; *store* if at the other origin."""

    method: str
    path: str
    store: bool
    bytes_from: int | None
    authorization: str | None
    agent: str


@dataclass
class Faults:
    """Faults of the hub. *cut*: bytes after which the connections for a file break, one number for each connection. *hold*:
    bytes after which a file stops until `release` is set. *spoilt*: files with a wrong byte. *answers*: the first statuses
    for paths that contain the text. *location*: the target of a file's redirect. *description*: replaces that of all
    repositories.
    """

    ranges: bool = True
    sizes: bool = True
    cut: dict[str, list[int]] = field(default_factory=dict)
    hold: dict[str, int] = field(default_factory=dict)
    spoilt: set[str] = field(default_factory=set)
    answers: dict[str, list[int]] = field(default_factory=dict)
    location: dict[str, str] = field(default_factory=dict)
    description: bytes | None = None


class Hub:
    """The server, over *tls* if given (the store stays plain); use it as a context."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.repositories: dict[str, Repository] = {}
        self.faults = Faults()
        self.seen: list[Seen] = []
        self.sent: dict[str, int] = {}
        self.held = threading.Event()
        self.release = threading.Event()
        self._front, self._store = _server(self, store=False), _server(self, store=True)
        self._scheme = "https" if tls else "http"
        if tls:
            self._front.socket = tls.wrap_socket(self._front.socket, server_side=True)

    @property
    def url(self) -> str:
        """The URL of the hub for clients."""
        return f"{self._scheme}://127.0.0.1:{self._front.server_port}"

    @property
    def store(self) -> str:
        """The URL of the store of large files."""
        return f"http://127.0.0.1:{self._store.server_port}"

    def bodies(self, name: str) -> list[Seen]:
        """Requests for the content of the file *name*, redirects not counted."""
        matches = ((seen, _Handler.BODY.fullmatch(urlsplit(seen.path).path)) for seen in self.seen)
        return [seen for seen, match in matches if seen.method == "GET" and match and match["name"] == name]

    def __enter__(self) -> Self:
        for server in (self._front, self._store):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        for server in (self._front, self._store):
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub
    store: bool

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignored: some tests disconnect on purpose."""


def _server(hub: Hub, *, store: bool) -> _Server:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub, server.store = hub, store
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    DESCRIPTION: ClassVar = re.compile(
        r"/api/models/(?P<repository>[^/]+/[^/]+)/(?P<kind>revision|tree)/(?P<revision>[^/]+)"
    )
    RESOLVE: ClassVar = re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
    BODY: ClassVar = re.compile(r"/(?:store|cache)/(?P<repository>[^/]+/[^/]+)/(?P<name>[^?]+)")

    def do_GET(self) -> None:
        hub = self.server.hub
        split = urlsplit(self.path)
        hub.seen.append(
            Seen(
                method=self.command,
                path=self.path,
                store=self.server.store,
                bytes_from=self._from(),
                authorization=self.headers["Authorization"],
                agent=self.headers["User-Agent"],
            )
        )
        for text, statuses in hub.faults.answers.items():
            if text in self.path and statuses:
                self._answer(statuses.pop(0), b"not now")
                return
        if match := self.BODY.fullmatch(split.path):
            self._body(hub.repositories[match["repository"]], unquote(match["name"]))
        elif match := self.DESCRIPTION.fullmatch(split.path) or self.RESOLVE.fullmatch(split.path):
            self._known(match)
        else:
            self._answer(404, b"no such page")

    do_HEAD = do_GET  # noqa: N815 - as http.server calls it

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _from(self) -> int | None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        return int(asked[1]) if asked else None

    def _known(self, match: re.Match[str]) -> None:
        repository = self.server.hub.repositories.get(match["repository"])
        if repository is None:  # like the real hub, which does not reveal private repositories
            self._answer(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif repository.key and self.headers["Authorization"] is None:
            self._answer(401, b"", {"X-Error-Code": "GatedRepo"})
        elif repository.key and self.headers["Authorization"] != f"Bearer {repository.key}":
            self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
        elif match["revision"] not in {"main", repository.commit}:
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif "name" in match.groupdict():
            self._resolve(repository, match["repository"], unquote(match["name"]))
        else:
            self._describe(repository, match["kind"])

    def _describe(self, repository: Repository, kind: str) -> None:
        faults = self.server.hub.faults
        sizes = faults.sizes and (kind == "tree" or "blobs=true" in self.path.lower())
        siblings = [repository.described(name, sizes=sizes) for name in repository.files]
        if kind == "tree":
            text = json.dumps(
                [
                    {
                        "type": "file",
                        "path": each["rfilename"],
                        "size": each["size"],
                        "oid": each["blobId"],
                        **({"lfs": {**each["lfs"], "oid": each["lfs"]["sha256"]}} if "lfs" in each else {}),
                    }
                    for each in siblings
                ]
            )
        else:
            text = json.dumps({"id": "any", "sha": repository.commit, "siblings": siblings})
        self._answer(200, faults.description or text.encode(), {"Content-Type": "application/json"})

    def _resolve(self, repository: Repository, called: str, name: str) -> None:
        content = repository.files.get(name)
        if content is None:
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": repository.commit}
        if len(content) >= LARGE:
            headers |= {"X-Linked-Etag": f'"{tag(content)}"', "X-Linked-Size": str(len(content))}
            place = f"{self.server.hub.store}/store/{called}/{name}?signature=of-the-store"
        else:
            place = f"/cache/{called}/{name}?"
        headers["Location"] = self.server.hub.faults.location.get(name, place)
        self._answer(302 if len(content) >= LARGE else 307, b"", headers)

    def _body(self, repository: Repository, name: str) -> None:
        hub = self.server.hub
        content = repository.files[name]
        first = self._from() if hub.faults.ranges else None
        headers = {"ETag": f'"{tag(content)}"', "X-Repo-Commit": repository.commit}
        if name in hub.faults.spoilt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if first is not None and first >= len(content):
            self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            return
        if first is not None:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        self._head(200 if first is None else 206, len(content) - (first or 0), headers)
        if self.command == "GET":
            self._send(name, content[first or 0 :])

    def _send(self, name: str, content: bytes) -> None:
        hub = self.server.hub
        cuts = hub.faults.cut.get(name)
        cut = cuts.pop(0) if cuts else None
        hold = hub.faults.hold.pop(name, None)
        for at in range(0, len(content), STEP):
            if hold is not None and at >= hold:
                hold = None
                hub.held.set()
                hub.release.wait(PATIENCE)
            if cut is not None and at >= cut:
                self.close_connection = True
                return
            step = content[at : at + STEP]
            self.wfile.write(step)
            hub.sent[name] = hub.sent.get(name, 0) + len(step)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, len(body), headers or {})
        if self.command == "GET":
            self.wfile.write(body)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
