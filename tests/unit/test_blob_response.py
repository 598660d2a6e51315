"""Parts of blobs, from a folder and from a store that is no folder, as S3 is."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from obstore.store import MemoryStore
from starlette.requests import Request

from sottovoce.errors import Kind, Refused
from sottovoce.service.storage.blobs import Blobs
from sottovoce.web.api import blob_response

CONTENT = bytes(range(256)) * 40
SIZE = len(CONTENT)


@pytest.fixture(params=["folder", "store"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs.open(f"file://{tmp_path}", {}) if request.param == "folder" else Blobs(MemoryStore(), None)


def ask(blobs: Blobs, key: str = "a", **headers: str) -> httpx.Response:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (await blob_response.sent(Request(scope), blobs, key, name="a.wav"))(scope, receive, send)

    async def asked() -> httpx.Response:
        await blobs.put("a", CONTENT)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get("/", headers=headers)

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-", 0, SIZE),
        ("bytes=10-19", 10, 20),
        ("bytes=10-99999999", 10, SIZE),
        ("bytes=-5", SIZE - 5, SIZE),
        ("bytes=-99999999", 0, SIZE),
    ],
)
def test_one_range_is_answered_with_its_part(blobs: Blobs, wanted: str, start: int, end: int) -> None:
    answer = ask(blobs, range=wanted)
    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("wanted", ["", "bytes=", "bytes=-", "bytes=-0", "bytes=20-10", f"bytes={SIZE}-", "bytes=0-1,3-4", "words=1-2"])  # fmt: skip
def test_any_other_range_is_ignored(blobs: Blobs, wanted: str) -> None:
    answer = ask(blobs, range=wanted)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["accept-ranges"] == "bytes"


def test_a_range_of_another_version_is_ignored(blobs: Blobs) -> None:
    assert ask(blobs, **{"range": "bytes=0-1", "if-range": '"other"'}).content == CONTENT


def test_a_missing_blob_is_refused(blobs: Blobs) -> None:
    with pytest.raises(Refused) as refused:
        ask(blobs, "nothing")
    assert refused.value.kind is Kind.FILE_EXPIRED
