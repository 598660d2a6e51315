# ruff: noqa: PT012 - a block that is left by an error
import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sottovoce.service.storage import blobs as module
from sottovoce.service.storage.blobs import Blobs, Missing


@pytest.fixture
def store(tmp_path: Path) -> Blobs:
    return Blobs.open(f"file://{tmp_path}/blobs", {})


def files(store: Blobs) -> list[str]:
    assert store.root
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


def far(store: Blobs) -> Blobs:
    """The same store as if it were not local."""
    return Blobs(store._store, None)


def test_what_is_put_is_there_and_replaced(store: Blobs) -> None:
    async def go() -> None:
        await store.put("jobs/a/input", b"one")
        await store.put("jobs/a/input", b"two")
        assert await store.get("jobs/a/input") == b"two"
        assert [piece async for piece in store.stream("jobs/a/input")] == [b"two"]

    asyncio.run(go())


def test_what_is_not_there_is_missing(store: Blobs) -> None:
    async def go() -> None:
        with pytest.raises(Missing):
            await store.get("jobs/a/input")
        with pytest.raises(Missing):
            async for _ in store.stream("jobs/a/input"):
                pass
        for each in (store, far(store)):
            with pytest.raises(Missing):
                async with each.as_file("jobs/a/input", store.root / "scratch" if store.root else Path()):
                    pass
        await store.delete("jobs/a/input")
        assert await store.delete_prefix("jobs/a/") == 0

    asyncio.run(go())


def test_nothing_is_seen_before_close_and_all_of_it_after(store: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUFFER", 1000)
    data = os.urandom(10_500)

    async def go() -> None:
        writer = store.writer("jobs/a/input")
        for start in range(0, len(data), 700):
            await writer.write(data[start : start + 700])
            assert await store.keys("jobs/") == []
        assert writer.size == len(data)
        await writer.close()
        assert await store.get("jobs/a/input") == data
        assert b"".join([piece async for piece in store.stream("jobs/a/input", 1000)]) == data

    asyncio.run(go())


def test_an_empty_blob_is_a_blob(store: Blobs) -> None:
    async def go() -> None:
        await store.writer("jobs/a/input").close()
        assert await store.get("jobs/a/input") == b""

    asyncio.run(go())


@pytest.mark.parametrize("size", [0, 10, 5000])
def test_an_aborted_blob_leaves_nothing(store: Blobs, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(module, "BUFFER", 1000)

    async def go() -> None:
        writer = store.writer("jobs/a/input")
        await writer.write(bytes(size))
        await writer.abort()

    asyncio.run(go())
    assert files(store) == []


def test_a_blob_that_could_not_be_made_durable_is_removed_by_abort(
    store: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(module, "_sync", broken)

    async def go() -> None:
        writer = store.writer("jobs/a/input")
        await writer.write(b"x")
        with pytest.raises(OSError, match="no space"):
            await writer.close()
        await writer.abort()

    asyncio.run(go())
    assert files(store) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    code = """
import asyncio, resource, signal, sys
from sottovoce.service.storage import blobs
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
async def go():
    store = blobs.Blobs.open("file://" + sys.argv[1], {})
    writer = store.writer("jobs/a/input")
    try:
        for _ in range(40):
            await writer.write(bytes(1 << 20))
        await writer.close()
    except Exception as error:
        print("refused", type(error).__name__)
        await writer.abort()
asyncio.run(go())
"""
    assert resource.RLIMIT_FSIZE
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / "b")], capture_output=True, text=True)
    assert ran.stdout.startswith("refused"), ran.stderr
    assert [path for path in (tmp_path / "b").rglob("*") if path.is_file()] == []


def test_keys_are_sorted_and_whole_names(store: Blobs) -> None:
    async def go() -> None:
        for key in ("jobs/ab/2", "jobs/ab/10", "jobs/abc/1", "jobs/ab/w/000-1"):
            await store.put(key, b"x")
        assert await store.keys("jobs/ab/") == ["jobs/ab/10", "jobs/ab/2", "jobs/ab/w/000-1"]
        assert await store.delete_prefix("jobs/ab/") == 3
        assert await store.keys("jobs/") == ["jobs/abc/1"]

    asyncio.run(go())
    assert store.root
    assert not (store.root / "jobs" / "ab").exists()


def test_keys_cannot_climb_out(store: Blobs, tmp_path: Path) -> None:
    async def go() -> None:
        for key in ("../evil", "jobs/../../evil"):
            with pytest.raises(Exception, match=r"(?i)path|segment|\.\."):
                await store.put(key, b"x")

    asyncio.run(go())
    assert not (tmp_path / "evil").exists()


def test_a_local_blob_is_its_own_file(store: Blobs, tmp_path: Path) -> None:
    async def go() -> None:
        await store.put("jobs/a/input", b"x")
        async with store.as_file("jobs/a/input", tmp_path / "scratch") as path:
            assert path.read_bytes() == b"x"
        assert path.exists()

    asyncio.run(go())
    assert not (tmp_path / "scratch").exists()


def test_a_copy_lives_as_long_as_its_block(store: Blobs, tmp_path: Path) -> None:
    async def go() -> None:
        await store.put("jobs/a/input", b"x" * 3000)
        with pytest.raises(KeyError):
            async with far(store).as_file("jobs/a/input", tmp_path / "s" / "a-1") as path:
                assert path.read_bytes() == b"x" * 3000
                raise KeyError

    asyncio.run(go())
    assert not (tmp_path / "s" / "a-1").exists()


def test_what_is_closed_was_synced_with_every_folder(store: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)

    async def go() -> None:
        writer = store.writer("jobs/a/input")
        await writer.write(b"x")
        await writer.close()
        await store.put("jobs/a/1/transcript", b"x")

    asyncio.run(go())
    root = store.root
    assert root
    first = [root / "jobs/a/input", root / "jobs/a", root / "jobs", root]
    second = [root / "jobs/a/1/transcript", root / "jobs/a/1", root / "jobs/a", root / "jobs", root]
    assert synced == [str(path) for path in (*first, *second)]


def test_check_writes(store: Blobs) -> None:
    asyncio.run(store.check())
    assert store.root
    (store.root / "health" / "probe").unlink()
    (store.root / "health").rmdir()
    (store.root / "health").write_text("in the way")
    with pytest.raises(Exception, match="health"):
        asyncio.run(store.check())


def test_many_at_once_leave_no_open_file(store: Blobs) -> None:
    def open_files() -> int:
        return sum(
            os.path.realpath(f"/proc/self/fd/{fd}").startswith(str(store.root))
            for fd in (entry.name for entry in Path("/proc/self/fd").iterdir())
        )

    async def one(number: int) -> None:
        key = f"jobs/{number}/input"
        await store.put(key, b"x")
        await store.get(key)
        await store.delete_prefix(f"jobs/{number}/")

    async def go() -> None:
        await asyncio.gather(*(one(number) for number in range(40)))

    asyncio.run(go())
    assert open_files() == 0
    assert files(store) == []
