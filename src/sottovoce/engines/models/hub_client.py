"""A model hub over HTTP: lists the files of a repository, and downloads them with resume and checksum verification.

The client uses two of the hub's addresses, which mirrors have too: `/api/models/<repository>/revision/<revision>` for
names, sizes and checksums, `/<repository>/resolve/<commit>/<file>` for bytes. huggingface_hub's own download is not used:
it checks the size of a file but not its content, sends a request about the calling program to its vendor's address even
when a mirror is set, and reads tokens from several places by default (2.4.0: `file_download.py`,
`utils/_detect_agent.py`, `utils/_auth.py`).

Parts, in order: the address and the token; `Source`, `Remote` and `Listing`; `Hub`, the connection; `_Part`, a partly
downloaded file; checksums; the hub's description of a repository.
"""

import contextlib
import hashlib
import ipaddress
import os
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self
from urllib.parse import quote, urlsplit

from sottovoce import __version__
from sottovoce.engines.models.catalogue import ModelFault, checked_revision

if TYPE_CHECKING:
    import httpx2

CHUNK = 1 << 18
"""Bytes read from a file at a time (256 KiB)."""
MAX_DESCRIPTION = 8 << 20
"""Most bytes of a repository's description (8 MiB); those of the catalogue's repositories have a few thousand."""
MAX_REDIRECTS = 10
"""Most responses in one chain of redirects."""
MAX_TOKEN = 1_000
"""Most characters of an access token."""

_LONGEST_WAIT = 60.0  # seconds between two attempts at most, whatever `retry-after` says
_COMMIT = re.compile("[0-9a-f]{40}")
_SHA256, _BLOB = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")
_TOKEN = re.compile("[!-~]+")
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_CLOSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def hub_address() -> str:
    """The hub's address from huggingface_hub, which `HF_ENDPOINT` overrides."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def read_token(file: Path | None, url: str) -> str | None:
    """The token to send to *url*: from *file*, else `HF_TOKEN`, which is sent to the hub only, never to a mirror.

    None if there is no token. Raises `ModelFault` for a file that cannot be read or does not hold a token.
    """
    if file is None:
        ours = url.rstrip("/") == hub_address().rstrip("/")
        return (os.environ.get("HF_TOKEN", "").strip() or None) if ours else None
    try:
        with file.open("rb") as opened:
            token = opened.read(MAX_TOKEN + 1).decode("ascii", "replace").strip()
    except OSError as error:
        raise ModelFault(f"the token file cannot be read: {error.strerror}") from error
    if not _TOKEN.fullmatch(token) or len(token) > MAX_TOKEN:
        raise ModelFault("the token file holds no token: it must have one line of printable ASCII characters")
    return token


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The hub, or a mirror of it, at *url*. With *offline* nothing is fetched.

    *patience*: attempts in a row that bring no new bytes, after which the download of a file fails. *pause*: seconds
    before the first retry, doubled before each further one. Raises `ModelFault` for an invalid address or token.
    """

    url: str
    offline: bool = False
    token: str | None = field(default=None, repr=False)
    patience: int = 5
    pause: float = 1.0

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            fits = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:  # an invalid port, or a bracket that is not closed
            fits = None
        if not fits or parts.query or parts.fragment:
            raise ModelFault("the address of the model hub must be http(s)://host, with a path if need be")
        if self.token and not _TOKEN.fullmatch(self.token):
            raise ModelFault("the token for the model hub must consist of printable ASCII characters without blanks")
        if self.token and parts.scheme == "http" and not _loopback(parts.hostname or ""):
            raise ModelFault("a token is never sent over plain http: use https, or no token")

    @property
    def host(self) -> str:
        """Host and port of *url* for messages, without credentials and path."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A file on the hub: its *size* in bytes, and the SHA-256 of its content or (small files) its git blob id, in hex."""

    name: str
    size: int
    sha256: str | None = None
    blob: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Files of a repository at one commit."""

    commit: str
    files: tuple[Remote, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


class _Interrupted(Exception):
    """A failure that a retry may cure; *wait*: seconds that the server asks the client to wait, 0 if it names none."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


class Hub:
    """A connection to *source*, used as a context manager. Failures are `ModelFault`s of one line."""

    def __init__(self, source: Source) -> None:
        import httpx2

        if source.offline:
            raise ModelFault("offline: nothing is fetched")
        self._source = source
        # identity: a compressed response has another length and supports no ranges
        headers = {"User-Agent": f"sottovoce/{__version__}", "Accept-Encoding": "identity"}
        try:
            httpx2.URL(source.url)
            self._client = httpx2.Client(timeout=httpx2.Timeout(60.0, connect=15.0), headers=headers)
        except httpx2.InvalidURL as error:
            raise ModelFault("the address of the model hub is not a URL") from error
        except (ValueError, OSError) as error:
            raise ModelFault(f"the proxy or certificate settings of this environment do not work: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def listing(self, repository: str, revision: str, choose: Callable[[Iterable[str]], frozenset[str]]) -> Listing:
        """The files of *repository* that *choose* selects from all names, at the commit that *revision* now points to.

        Raises `ModelFault`.
        """
        import httpx2

        try:
            described = self._description(repository, checked_revision(revision))
            commit = self._commit(described, revision)
            entries = _entries(described)
            files = tuple(
                _remote(name, entries[name]) or self._remote_from_headers(repository, commit, name)
                for name in sorted(choose(entries))
            )
        except _Interrupted as error:
            raise ModelFault(f"{error}; try again later") from error
        except httpx2.HTTPError as error:
            raise ModelFault(self._unreachable(error)) from error
        return Listing(commit=commit, files=files)

    def fetch(self, repository: str, commit: str, remote: Remote, target: Path, listen: Callable[[int], None]) -> str:
        """Download *remote* to *target*, resuming after the bytes that *target* already holds. Returns its SHA-256 in hex.

        *listen* is called with the number of bytes in *target*. A file that does not match its checksum is removed.
        Raises `ModelFault`, OSError.
        """
        with target.open("a+b") as file:
            part = _Part(file, remote)
            listen(part.size)
            self._download(f"/{repository}/resolve/{commit}/{quote(remote.name)}", part, listen)
            file.flush()
            os.fsync(file.fileno())
        if not part.fits:
            target.unlink()
            raise ModelFault(
                f"{remote.name} does not match the checksum that {self._source.host} gives: it was removed, pull again"
            )
        return part.sha256

    def _download(self, address: str, part: "_Part", listen: Callable[[int], None]) -> None:
        """Request the rest of *part* until it is complete.

        Raises `ModelFault` after more than *patience* attempts in a row that bring no new bytes.
        """
        import httpx2

        largest, failures = part.size, 0
        while part.size < part.remote.size:
            failure: Exception = _Interrupted("the response ends too early")
            try:
                self._append(address, part, listen)
            except (_Interrupted, httpx2.HTTPError) as error:
                failure = error
            if part.size == part.remote.size:
                return
            failures = 0 if part.size > largest else failures + 1
            largest = max(largest, part.size)
            wait = self._source.pause * 2 ** max(0, failures - 1)
            if isinstance(failure, _Interrupted):
                why, wait = str(failure), max(wait, failure.wait)
            else:
                why = self._unreachable(failure)
            if failures > self._source.patience:
                raise ModelFault(f"{part.remote.name}: {why}; what is here is kept for the next pull") from failure
            time.sleep(min(wait, _LONGEST_WAIT))

    def _append(self, address: str, part: "_Part", listen: Callable[[int], None]) -> None:
        """Request the bytes after *part* and append them; restart *part* if the server does not send that range."""
        with self._open(address, {"Range": f"bytes={part.size}-"} if part.size else {}) as response:
            status = response.status_code
            content_range = response.headers.get("content-range", "")
            if part.size and (
                status != HTTPStatus.PARTIAL_CONTENT or not content_range.startswith(f"bytes {part.size}-")
            ):
                part.restart()  # the server supports no ranges, or sends another range than requested
                listen(0)
                if status != HTTPStatus.OK:
                    raise _Interrupted("the server sends another range than requested")
            for chunk in response.iter_bytes():
                part.append(chunk)
                listen(part.size)

    def _description(self, repository: str, revision: str) -> Mapping[str, Any]:
        """The hub's description of *repository*: its JSON object, not validated."""
        from pydantic_core import from_json

        address = f"/api/models/{repository}/revision/{quote(revision, safe='')}?blobs=true"
        body = bytearray()
        with self._open(address, {}) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_DESCRIPTION:
                    raise ModelFault(f"{self._source.host} describes {repository} in more than {MAX_DESCRIPTION} bytes")
        try:
            described = from_json(bytes(body))
        except ValueError:
            described = None
        if not isinstance(described, dict):
            raise ModelFault(f"{self._source.host} is not a model hub: its answer is not a JSON object")
        return described

    def _commit(self, described: Mapping[str, Any], revision: str) -> str:
        commit = described.get("sha", revision)
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise ModelFault(f"{self._source.host} names no commit for revision {revision}")
        if _COMMIT.fullmatch(revision) and commit != revision:
            raise ModelFault(f"{self._source.host} answers with another commit than {revision}")
        return commit

    def _remote_from_headers(self, repository: str, commit: str, name: str) -> Remote:
        """*name* with size and checksum from the headers of its file: some mirrors omit both in the description."""
        tag, size = "", ""
        with contextlib.closing(self._responses("HEAD", f"/{repository}/resolve/{commit}/{quote(name)}", {})) as hops:
            for response in hops:
                self._check(response)
                tag = response.headers.get("x-linked-etag", "") or response.headers.get("etag", "")
                size = response.headers.get("x-linked-size", "") or response.headers.get("content-length", "")
                if "x-linked-etag" in response.headers:  # the redirect has it; the storage server may not
                    break
        tag = tag.removeprefix("W/").strip('"').lower()
        if not size.isdecimal() or not (_SHA256.fullmatch(tag) or _BLOB.fullmatch(tag)):
            raise ModelFault(f"{self._source.host} gives no size and checksum for {name}")
        key = "sha256" if _SHA256.fullmatch(tag) else "blob"
        return Remote(name=name, size=int(size), **{key: tag})

    @contextlib.contextmanager
    def _open(self, address: str, headers: Mapping[str, str]) -> Iterator["httpx2.Response"]:
        """The open response at the end of all redirects: status 200, 206 or 416. Raises `ModelFault`, `_Interrupted`."""
        with contextlib.closing(self._responses("GET", address, headers)) as hops:
            for response in hops:
                self._check(response)
                if response.next_request is None:
                    yield response

    def _responses(self, method: str, address: str, headers: Mapping[str, str]) -> "Generator[httpx2.Response]":
        """Each response of the chain of redirects, open until the next request. httpx2 sends the token to the source only."""
        authorization = {"Authorization": f"Bearer {self._source.token}"} if self._source.token else {}
        url = self._source.url.rstrip("/") + address
        request = self._client.build_request(method, url, headers={**headers, **authorization})
        for _ in range(MAX_REDIRECTS):
            response = self._client.send(request, stream=True)
            try:
                yield response
            finally:
                response.close()
            following = response.next_request
            if following is None:
                return
            if request.url.scheme == "https" and following.url.scheme != "https":
                raise ModelFault(f"{self._source.host} redirects from https to plain http")
            request = following
        raise ModelFault(f"{self._source.host} redirects without end")

    def _check(self, response: "httpx2.Response") -> None:
        """Raise `_Interrupted` for a status that a retry may cure, `ModelFault` for any other failure."""
        status, host = response.status_code, self._source.host
        if response.next_request or response.is_success or status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return
        if status in _BUSY:
            wait = response.headers.get("retry-after", "")
            raise _Interrupted(f"{host} answers {status}", float(wait) if wait.isdecimal() else 0.0)
        if status in _CLOSED:
            remedy = "the token does not permit it" if self._source.token else "give a token (docs/models.md)"
            raise ModelFault(
                f"{host} answers {status}: it is private, wants its terms accepted, or does not exist; {remedy}"
            )
        if status == HTTPStatus.NOT_FOUND:
            raise ModelFault(f"{host} answers 404: it has no such repository, revision or file")
        raise ModelFault(f"{host} answers {status}")

    def _unreachable(self, error: Exception) -> str:
        detail = " ".join(str(error).split())[:200]
        return f"{self._source.host} cannot be reached: {detail or type(error).__name__}"


class _Part:
    """The downloaded part of one file, and the checksums of its bytes."""

    def __init__(self, file: BinaryIO, remote: Remote) -> None:
        self.remote = remote
        self._file = file
        self._reset()
        file.seek(0)
        while chunk := file.read(CHUNK):
            self._count(chunk)
        if self.size > remote.size:
            self.restart()

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes downloaded so far, in hex."""
        return self._sha256.hexdigest()

    @property
    def fits(self) -> bool:
        """True if the bytes match the checksum of the remote file."""
        if self.remote.sha256:
            return self.sha256 == self.remote.sha256
        return self._blob.hexdigest() == self.remote.blob

    def append(self, chunk: bytes) -> None:
        """Append *chunk*. Raises `ModelFault` if the file gets longer than announced, OSError."""
        if self.size + len(chunk) > self.remote.size:
            raise ModelFault(f"{self.remote.name} is longer than the {self.remote.size} bytes that were announced")
        self._file.write(chunk)
        self._count(chunk)

    def restart(self) -> None:
        """Discard all bytes."""
        self._file.truncate(0)
        self._reset()

    def _reset(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        # The git blob id of a small file. It detects damage only: a hub that alters the file can alter the id as well.
        self._blob = hashlib.sha1(b"blob %d\0" % self.remote.size, usedforsecurity=False)

    def _count(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._sha256.update(chunk)
        if not self.remote.sha256:
            self._blob.update(chunk)


def sha256_of(file: Path) -> str:
    """The SHA-256 of the content of *file*, in hex. Raises OSError."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def fits(file: Path, remote: Remote) -> bool:
    """True if *file* has the size and checksum of *remote*. Raises OSError."""
    with file.open("rb") as opened:
        return file.stat().st_size == remote.size and _Part(opened, remote).fits


def _entries(described: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    siblings = described.get("siblings")
    listed = siblings if isinstance(siblings, list) else []
    return {
        entry["rfilename"]: entry
        for entry in listed
        if isinstance(entry, dict) and isinstance(entry.get("rfilename"), str)
    }


def _remote(name: str, entry: Mapping[str, Any]) -> Remote | None:
    """The file that *entry* describes; None if it lacks size or checksum.

    For a large (LFS) file the blob id is that of its pointer, so it is not used.
    """
    large = entry.get("lfs")
    size, sha256 = entry.get("size"), None
    if isinstance(large, dict):
        size, sha256 = large.get("size"), large.get("sha256")
    blob = None if large else entry.get("blobId")
    if not isinstance(size, int) or size < 0:
        return None
    if isinstance(sha256, str) and _SHA256.fullmatch(sha256):
        return Remote(name=name, size=size, sha256=sha256)
    if isinstance(blob, str) and _BLOB.fullmatch(blob):
        return Remote(name=name, size=size, blob=blob)
    return None
