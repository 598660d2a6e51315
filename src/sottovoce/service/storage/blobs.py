"""The blob store: media and results as bytes under keys, in a local folder or in S3. A closed blob is durable.

Parts, in order:
- `BlobWriter` writes one blob;
- `Blobs` is the store: opening, writing, reading, listing, deleting, and the health check.
"""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sottovoce.service.storage.database import one_line
from sottovoce.service.storage.trouble import StoreAway

BUFFER = 2 << 20
"""Bytes that a writer collects before it passes them to the store."""
S3_COPY = 5_000_000_000
"""Bytes of the largest object that S3 copies in one request."""
RETRY_FOR = 20.0
"""Seconds for which a request to S3 is repeated after errors of the server or the network."""
_PROBE = "health/probe"
"""The key of the blob that the health check writes."""


class Missing(Exception):
    """No blob has this key."""


class BlobWriter:
    """Writes one blob. The blob becomes visible with `close`, and is removed by `abort`."""

    def __init__(self, store: "Blobs", key: str) -> None:
        self._store = store
        self._key = key
        self._inner = store.open_writer(key)
        self._buffer = bytearray()
        self.size = 0

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append *data*. Waits while the store is slower than the caller."""
        self._buffer += data
        self.size += len(data)
        if len(self._buffer) >= BUFFER:
            await self._flush()

    async def _flush(self) -> None:
        full, self._buffer = bytes(self._buffer), bytearray()
        if full:
            await self._inner.write(full)

    async def close(self) -> None:
        """Make the blob visible and durable."""
        await self._flush()
        await self._inner.close()
        await self._store.make_durable(self._key)

    async def abort(self) -> None:
        """Remove the written data. Suppresses errors of the store, because the caller is handling an error already."""
        # the delete is tried even if the close fails: the blob may be visible nevertheless
        with contextlib.suppress(Exception):
            await self._inner.close()
        with contextlib.suppress(Exception):
            await self._store.delete(self._key)


class Blobs:
    """A store of blobs. *root* is the folder of a local store, else `None`."""

    def __init__(self, store: Any, root: Path | None) -> None:
        self._store = store
        self.root = root

    @property
    def movable(self) -> int:
        """Bytes of the largest blob that `move` can rename: S3 limits the size of a copy."""
        return sys.maxsize if self.root else S3_COPY

    @classmethod
    def open(cls, url: str, options: Mapping[str, str]) -> "Blobs":
        """Open the store at *url*: `file:///folder`, or `s3://bucket/prefix` with obstore's S3 *options*.

        Raises `ValueError`, in one line, for a URL or options that the library does not take.
        """
        from obstore.store import LocalStore, from_url

        if url.startswith("file://"):
            root = Path(url.removeprefix("file://"))
            root.mkdir(parents=True, exist_ok=True)
            return cls(LocalStore(root, automatic_cleanup=True), root)
        _check_options(options)
        client: Any = {"timeout": "120s", "allow_http": options.get("endpoint", "").startswith("http://")}
        config: Any = dict(options)
        # the library's own limit, three minutes, is longer than clients wait for the answer 503
        retries: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=RETRY_FOR)}
        try:
            return cls(from_url(url, config=config, client_options=client, retry_config=retries), None)
        except BaseException as error:  # a panic of the library is no `Exception`
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise ValueError(f"SOTTOVOCE_BLOB_URL, SOTTOVOCE_BLOB_OPTIONS: {one_line(error)}") from error

    def open_writer(self, key: str) -> Any:
        """Return obstore's writer of the blob *key*."""
        import obstore

        size, parallel = (BUFFER, 2) if self.root else (8 << 20, 4)
        return obstore.open_writer_async(self._store, key, buffer_size=size, max_concurrency=parallel)

    def writer(self, key: str) -> BlobWriter:
        """Return a writer of the new blob *key*."""
        return BlobWriter(self, key)

    async def put(self, key: str, data: bytes) -> None:
        """Write a small blob, durable on return; replaces an existing one."""
        import obstore

        await obstore.put_async(self._store, key, data)
        await self.make_durable(key)

    async def get(self, key: str) -> bytes:
        """Return the content of a small blob. Raises `Missing`."""
        import obstore

        try:
            answer = await obstore.get_async(self._store, key)
            return bytes(await answer.bytes_async())
        except FileNotFoundError as error:
            raise self._missing(key) from error

    async def stream(self, key: str, chunk: int = 1 << 20) -> AsyncIterator[bytes]:
        """Yield a blob of any size in pieces of at least *chunk* bytes. Raises `Missing` before the first piece."""
        import obstore

        try:
            answer = await obstore.get_async(self._store, key)
        except FileNotFoundError as error:
            raise self._missing(key) from error
        async for piece in answer.stream(min_chunk_size=chunk):
            yield bytes(piece)

    async def part(self, key: str, start: int, end: int, chunk: int = 1 << 20) -> AsyncIterator[bytes]:
        """Yield the bytes from *start* up to *end*, exclusive, of a blob as `stream` does. Raises `Missing` likewise."""
        import obstore

        try:
            answer = await obstore.get_async(self._store, key, options={"range": (start, end)})
        except FileNotFoundError as error:
            raise self._missing(key) from error
        async for piece in answer.stream(min_chunk_size=chunk):
            yield bytes(piece)

    async def size(self, key: str) -> int:
        """Return the number of bytes of a blob. Raises `Missing`."""
        import obstore

        try:
            return int((await obstore.head_async(self._store, key))["size"])
        except FileNotFoundError as error:
            raise self._missing(key) from error

    def _missing(self, key: str) -> Exception:
        """The error for *key*, of which nothing is stored: `StoreAway` if the whole folder is missing, as an unmounted one is."""
        if self.root is not None and not self.root.is_dir():
            return StoreAway(f"the folder {self.root} of the blob store is missing")
        return Missing(key)

    async def move(self, source: str, target: str) -> None:
        """Rename the blob *source* to *target*, durable on return; replaces an existing one. Raises `Missing`."""
        import obstore

        try:
            await obstore.rename_async(self._store, source, target)
        except FileNotFoundError as error:
            raise self._missing(source) from error
        await self.make_durable(target)

    async def keys(self, prefix: str) -> list[str]:
        """Return every key below *prefix*, sorted."""
        import obstore

        found = await obstore.list(self._store, prefix=prefix).collect_async()
        return sorted(str(item["path"]) for item in found)

    async def keys_after(self, prefix: str, key: str | None) -> list[str]:
        """Return the keys below *prefix* behind *key* in alphabetical order (all without it), sorted."""
        import obstore

        found = await obstore.list(self._store, prefix=prefix, offset=key).collect_async()
        return sorted(str(item["path"]) for item in found)

    async def listing(self, prefix: str) -> AsyncIterator[tuple[str, float]]:
        """Yield every key below *prefix* with its time of writing (epoch seconds). Reads in pages, to limit memory."""
        import obstore

        async for page in obstore.list(self._store, prefix=prefix, chunk_size=1000):
            for item in page:
                yield str(item["path"]), item["last_modified"].timestamp()

    async def delete(self, key: str) -> None:
        """Remove one blob. Does nothing if it does not exist."""
        import obstore

        with contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(self._store, key)

    async def delete_prefix(self, prefix: str) -> int:
        """Remove every blob below *prefix*. Returns their number."""
        keys = await self.keys(prefix)
        for key in keys:
            await self.delete(key)
        if self.root:
            await asyncio.to_thread(shutil.rmtree, self.root / prefix, ignore_errors=True)
        return len(keys)

    @asynccontextmanager
    async def as_file(self, key: str, scratch: Path) -> AsyncIterator[Path]:
        """Provide the blob as a file to read: the local file itself, else a copy below *scratch* that the end of the block removes.

        Raises `Missing`.
        """
        if self.root:
            path = self.root / key
            if not path.exists():
                raise self._missing(key)
            yield path
            return
        await asyncio.to_thread(scratch.mkdir, parents=True, exist_ok=True)
        path = scratch / key.replace("/", "-")
        try:
            with path.open("wb") as file:
                async for piece in self.stream(key):
                    await asyncio.to_thread(file.write, piece)
            yield path
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty: another blob is copied there
                await asyncio.to_thread(scratch.rmdir)

    async def check(self) -> None:
        """Write a small blob. Raises if the store does not accept it."""
        await self.put(_PROBE, b"ok")

    async def make_durable(self, key: str) -> None:
        """Sync the file and its parent folders to disk, because obstore does not (research/queue.md §6)."""
        if self.root:
            await asyncio.to_thread(_sync, self.root, self.root / key)


def _check_options(options: Mapping[str, str]) -> None:
    """Raise `ValueError` for options with which the library would panic at its first request (obstore 0.11)."""
    for name, value in options.items():
        if not value.isprintable():
            raise ValueError(
                f"SOTTOVOCE_BLOB_OPTIONS: {name} has a line break or another character that cannot be sent"
            )
    endpoint = options.get("endpoint")
    try:
        parts = urlsplit(endpoint or "http://default")
        right = parts.scheme in {"http", "https"} and bool(parts.hostname) and " " not in parts.netloc
        parts.port  # noqa: B018 - raises for a port that is no number
    except ValueError:
        right = False
    if not right:
        raise ValueError("SOTTOVOCE_BLOB_OPTIONS: endpoint must be a URL such as https://s3.example.org")


def _sync(root: Path, path: Path) -> None:
    for entry in (path, *path.parents):
        descriptor = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if entry == root:
            return
