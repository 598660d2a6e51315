"""Large JSON is parsed in another process, which may die."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator

import pytest

from sottovoce.errors import Kind, Refused
from sottovoce.request import TranscriptionRequest
from sottovoce.service.large_work import LARGE, LargeWork
from sottovoce.wire.v2.unknown_members import parse_and_tell

CONFIG = json.dumps(
    {"type": "transcription", "transcription_config": {"language": "en"}, "tracking": {"details": {"x": "x" * LARGE}}}
).encode()


@pytest.fixture(scope="module")
def large_work() -> Iterator[LargeWork]:
    made = LargeWork()
    yield made
    made.close()


def pid(_config: bytes) -> int:
    return os.getpid()


def die(_config: bytes) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_large_config_is_parsed_in_another_process(large_work: LargeWork) -> None:
    async def parsed(config: bytes) -> tuple[object, tuple[str, ...], int]:
        def work() -> tuple[object, tuple[str, ...], int]:
            return *large_work.apart(len(config), parse_and_tell, config), large_work.apart(len(config), pid, config)

        return await large_work.run(work)

    request, unknown, there = asyncio.run(parsed(CONFIG))
    assert isinstance(request, TranscriptionRequest)
    assert (request.language, unknown) == ("en", ())
    assert there != os.getpid()
    small = b'{"type": "transcription", "transcription_config": {"language": "en", "diarisation": "x"}}'
    _, told, here = asyncio.run(parsed(small))
    assert len(told) == 1
    assert here == os.getpid()


def test_a_refusal_comes_back_whole(large_work: LargeWork) -> None:
    wrong = CONFIG.replace(b'"en"', b"7", 1)
    with pytest.raises(Refused) as refused:
        large_work.apart(len(wrong), parse_and_tell, wrong)
    assert (refused.value.kind, refused.value.at) == (Kind.INVALID_CONFIG, "transcription_config.language")
    with pytest.raises(Refused) as here:
        parse_and_tell(wrong)
    assert refused.value.detail == here.value.detail


def test_a_process_that_dies_is_replaced(large_work: LargeWork) -> None:
    with pytest.raises(OSError, match="died"):
        large_work.apart(LARGE + 1, die, CONFIG)
    before = large_work.apart(LARGE + 1, pid, CONFIG)
    os.kill(before, signal.SIGKILL)
    assert large_work.apart(LARGE + 1, pid, CONFIG) not in {before, os.getpid()}
