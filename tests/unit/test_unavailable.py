"""Temporary trouble is 503 with `Retry-After` in the form of each API, a bug is 500, and deletions work on a full disk."""

import asyncio
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from sottovoce.job import State
from sottovoce.service.jobs.deletion import JobDeletion
from sottovoce.service.metrics import Metrics
from sottovoce.service.storage.ballast import Ballast
from sottovoce.service.storage.blobs import Blobs
from sottovoce.service.storage.database import Database
from sottovoce.service.storage.trouble import DATABASE, DISK_FULL, STORE
from sottovoce.web.api import account, management
from sottovoce.web.docs.operations import MANAGEMENT
from sottovoce.web.middleware import RequestMiddleware
from sottovoce.web.routing import Route, Router
from tests.log_records import warnings
from tests.unit.service.task_values import ID, Region, region_in


def full() -> sa.exc.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return sa.exc.OperationalError("INSERT", None, error)


TROUBLE = [
    (sa.exc.OperationalError("SELECT", None, Exception("no answer")), DATABASE),
    (full(), DISK_FULL),
    (OSError(errno.ENOSPC, "full"), DISK_FULL),
    (OSError(errno.EROFS, "read-only"), STORE),
]


def answer(path: str, error: Exception) -> httpx.Response:
    """What a handler that raises *error* is answered with."""

    async def handler(_request: Request) -> Response:
        raise error

    wrapped = {
        "/account": lambda: account.with_checks(handler, None),
        "/v1/api_keys": lambda: management._with_errors(MANAGEMENT[0], handler),
    }.get(path, lambda: handler)()
    app = RequestMiddleware(Router([Route(path=path, handlers={"GET": wrapped})]), Metrics())

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as client:
            return await client.get(path)

    return asyncio.run(ask())


@pytest.mark.parametrize(("error", "told"), TROUBLE)
@pytest.mark.parametrize("path", ["/v2/jobs", "/account", "/v1/api_keys", "/v1.0/user/1/jobs"])
def test_temporary_trouble_is_503_in_every_api(path: str, error: Exception, told: str) -> None:
    found = answer(path, error)
    assert (found.status_code, found.headers["retry-after"]) == (503, "5")
    if path.startswith("/v1.0"):
        assert found.headers["content-type"].startswith("text/html")
        assert "<h1>503 Service Temporarily Unavailable</h1>" in found.text
    else:
        assert told in found.text


@pytest.mark.parametrize("path", ["/v2/jobs", "/account", "/v1/api_keys", "/v1.0/user/1/jobs"])
@pytest.mark.parametrize("bug", [TypeError("secret"), FileNotFoundError(2, "secret")])
def test_a_bug_is_500_and_says_nothing(path: str, bug: Exception) -> None:
    found = answer(path, bug)
    assert found.status_code == 500
    assert "secret" not in found.text


# ── deletions ──


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    with region_in(tmp_path) as made:
        asyncio.run(made.accept_media())
        yield made


def delete(region: Region, blobs: Blobs, ballast: Ballast | None = None) -> bool:
    deletion = JobDeletion(region.database, blobs, region.queue, ballast)
    return asyncio.run(deletion.delete(ID, force=True))


def test_a_deletion_uses_the_reserved_space_of_a_full_disk(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    path = region.folder / "ballast"
    ballast = Ballast(path, size=4096)
    ballast.restore()
    assert path.stat().st_size == 4096
    write = Database.write
    tries = []

    async def short_of_space(self: Database, work: Any) -> Any:
        tries.append(path.exists())
        if path.exists() and len(tries) == 1:
            raise full()
        return await write(self, work)

    monkeypatch.setattr(Database, "write", short_of_space)
    assert delete(region, region.blobs, ballast)
    assert tries[:2] == [True, False]
    assert region.job().state is State.DELETED
    assert path.stat().st_size == 4096  # there is room again


def test_a_deletion_succeeds_while_the_store_is_read_only(region: Region, caplog: pytest.LogCaptureFixture) -> None:
    class ReadOnly(Blobs):
        async def delete(self, key: str) -> None:
            raise OSError(errno.EROFS, "read-only")

    assert delete(region, ReadOnly(region.blobs._store, region.blobs.root))
    assert region.job().state is State.DELETED
    assert asyncio.run(region.blobs.keys(f"jobs/{ID}/")) != []  # the sweep deletes them
    assert warnings(caplog) == ["blobs of removed jobs not deleted yet"]
