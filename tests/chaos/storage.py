"""The faults of disks, blob stores and databases that are full, read-only or locked: answers are 503, deletions work."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import sqlalchemy as sa

from sottovoce.service.storage.database import BUSY_TIMEOUT, normal_url
from tests.chaos.rounds import Round, waiting_for
from tests.chaos.worlds import Embedded, World
from tests.servers import PATIENCE

GRACE = 40.0
"""Seconds that SIGTERM may take: the drain of 20 s, and what the processes need to end."""


def disk_full(round_: Round) -> None:
    """Fill the file system to the last byte, during an upload and during work. Only on a small disk of its own.

    On the full disk a job can be deleted, and in some rounds SIGTERM ends the server.
    """
    world, rng = round_.world, round_.rng
    old = round_.submit()
    round_.ended(old)
    job_id = round_.submit()
    if rng.random() < 0.6:
        round_.claimed(job_id)
        round_.nap(1.0)
    media, key = round_.media(), round_.key()
    sock = round_.half_a_body(rng.uniform(0.2, 0.9), 500_000)
    with waiting_for(round_.in_background(lambda: round_.post(media, key))):
        ballast = world.home / "filling"
        _fill(ballast, rng.choice((0, 0, 5_000, 100_000)))
        try:
            time.sleep(rng.uniform(0.5, 4.0))
            if not round_.delete(old):
                raise AssertionError(f"a deletion on the full disk failed: {round_.ledger.counts}")
            if rng.random() < 0.5:
                _fill(ballast, 0)
                _terminate(round_)
        finally:
            sock.close()
            ballast.unlink()


def _terminate(round_: Round) -> None:
    begun = time.monotonic()
    round_.world.api.process.send_signal(signal.SIGTERM)
    try:
        round_.world.api.process.wait(GRACE)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"the server did not end within {GRACE:.0f} s of SIGTERM") from None
    round_.ledger.counts[f"ended in {(time.monotonic() - begun) // 5 * 5:.0f} s or more"] += 1


def _fill(ballast: Path, leave: int) -> None:
    for size in (65536, 512):
        with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(size))
    os.truncate(ballast, max(0, ballast.stat().st_size - leave))


def read_only_blobs(round_: Round) -> None:
    """No blob can be written or deleted for a while: 503 for uploads, reads and deletions work, and running work waits."""
    world = round_.world
    old, kept = round_.submit(), round_.submit()
    for job_id in (old, kept):
        round_.ended(job_id)
    running = round_.submit()
    if round_.rng.random() < 0.7:
        round_.claimed(running)
    with _read_only(world):
        _post_is_503(round_)
        with round_.client() as client:
            found = client.get(f"/v2/jobs/{kept}/transcript", params={"format": "txt"})
        if found.status_code != 200:
            raise AssertionError(f"a transcript was answered {found.status_code}: {found.text}")
        if not round_.delete(old):
            raise AssertionError(f"a deletion was not answered 200: {round_.ledger.counts}")
        round_.nap(3.0)


@contextlib.contextmanager
def _read_only(world: World) -> Iterator[None]:
    if not isinstance(world, Embedded):
        world.proxy.break_down("read-only")
        try:
            yield
        finally:
            world.proxy.heal()
        return
    blobs = str(world.region / "blobs")
    subprocess.run(["mount", "--bind", blobs, blobs], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", blobs], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", blobs], check=True)


def locked_region(round_: Round) -> None:
    """The region's database is locked for longer than a statement waits for it: 503, and everything goes on afterwards."""
    round_.submit()
    with _locked(round_.world):
        begun = time.monotonic()
        _post_is_503(round_)
        if time.monotonic() - begun > BUSY_TIMEOUT * 3:
            raise AssertionError("the answer took too long")


@contextlib.contextmanager
def _locked(world: World) -> Iterator[None]:
    if isinstance(world, Embedded):
        connection = sqlite3.connect(world.region / "region.db", timeout=PATIENCE, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()
        return
    engine = sa.create_engine(normal_url(str(world.database.url)))
    try:
        with engine.begin() as locking:  # not by `Database`, whose idle transactions the server ends
            locking.execute(sa.text("LOCK TABLE jobs IN EXCLUSIVE MODE"))
            yield
    finally:
        engine.dispose()


def _post_is_503(round_: Round) -> None:
    answers: list[httpx.Response] = []
    round_.post(round_.media(), round_.key(), answers=answers)
    if not answers or answers[0].status_code != 503 or "retry-after" not in answers[0].headers:
        raise AssertionError(f"a submission was not answered 503 with Retry-After: {[each.text for each in answers]}")
