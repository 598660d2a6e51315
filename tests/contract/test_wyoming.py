"""The Wyoming adapter: Home Assistant's own client package, and clients that mean no good."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sottovoce.cli.wyoming.adapter import Adapter, Defaults, Limits
from sottovoce.cli.wyoming.upstream import Server
from sottovoce.wire.wyoming.events import Event, EventParser, encode
from tests.live_server import KEY, LiveServer, live_server
from tests.servers import ROOT, until

pytestmark = pytest.mark.system
PYTHON = ROOT / ".venv-clients" / "bin" / "python"
SCRIPT = Path(__file__).parent / "clients" / "wyoming_asr.py"
AUDIO = {"rate": 16_000, "width": 2, "channels": 1}
START = Event(type="audio-start", data=AUDIO)
STOP = Event(type="audio-stop")


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    home = tmp_path_factory.mktemp("wyoming")
    with live_server(home, roles="api,batch,realtime", engine="pocketsphinx", slots=1) as found:
        yield found


def chunk(seconds: float, **changes: Any) -> Event:
    return Event(type="audio-chunk", data={**AUDIO, **changes}, payload=bytes(round(seconds * 16_000) * 2))


# ── the package of Home Assistant, and the command ──


def test_the_package_of_home_assistant(upstream: LiveServer, tmp_path: Path) -> None:
    assert PYTHON.exists(), "wyoming is not in .venv-clients: run `make test`, which installs it"
    out = tmp_path / "out"
    key = tmp_path / "key"
    key.write_text(KEY + "\n")
    command = [sys.executable, "-m", "sottovoce.cli", "wyoming", "--uri", "tcp://127.0.0.1:0", "--server", upstream.url]
    with out.open("wb") as stream:
        process = subprocess.Popen([*command, "--key-file", str(key)], stdout=stream, env={**os.environ})
    try:
        found = until(lambda: re.search(r"listening on (\S+)", out.read_text()), "adapter")
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        ran = subprocess.run(
            [str(PYTHON), str(SCRIPT), found[1]], capture_output=True, text=True, timeout=120, env=clean
        )
        assert ran.returncode == 0, ran.stderr
    finally:
        process.terminate()
        assert process.wait(30) == 0
    info, pong, *heard = json.loads(ran.stdout)
    assert info == ["sottovoce", ["en"], True]
    assert pong == "a"
    one = heard[: len(heard) // 2]
    assert heard == one * 2
    assert one[0] == ["transcript-start", {"language": "en"}]
    assert one[-2:] == [
        ["transcript", {"text": "alpha bravo charlie delta.", "language": "en"}],
        ["transcript-stop", {}],
    ]
    assert (
        "".join(each["text"] for kind, each in one if kind == "transcript-chunk").strip()
        == "alpha bravo charlie delta."
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--server", "http://x"], "ws://HOST:PORT"),
        (["--server", "ws://x"], "give the API key"),
        (["--server", "ws://x", "--key", "a", "--key-file", "b"], "give the API key"),
        (["--server", "ws://x", "--key", "a", "--uri", "udp://x"], "tcp://HOST:PORT"),
        (["--server", "ws://x", "--key", "a", "--uri", "tcp://127.0.0.1:x"], "tcp://HOST:PORT"),
        (["--server", "ws://x", "--key", "ä"], "ASCII"),
    ],
)
def test_what_the_command_does_not_take(arguments: list[str], told: str) -> None:
    from click.testing import CliRunner

    from sottovoce.cli.wyoming.command import wyoming

    done = CliRunner(env={"SOTTOVOCE_API_KEY": None}).invoke(wyoming, arguments)
    assert done.exit_code != 0
    assert told in done.output


# ── what a client may not do ──


@contextlib.asynccontextmanager
async def adapted(url: str, limits: Limits | None = None, key: str = KEY) -> AsyncIterator[Callable[[], Any]]:
    """A function that connects to an adapter."""
    adapter = Adapter(Server(url=url, key=key), Defaults(), limits or Limits())
    server = await asyncio.start_server(adapter.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    async with server:
        yield connect
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await asyncio.sleep(0.1)  # the adapter's ends of the connections close too


async def answers(reader: asyncio.StreamReader) -> list[Event]:
    """Every event until the connection is closed."""
    parser = EventParser()
    found: list[Event] = []
    async with asyncio.timeout(60):
        while data := await reader.read(1 << 16):
            found += parser.feed(data)
    return found


def last_of(url: str, *sent: Event | bytes, limits: Limits | None = None, key: str = KEY) -> Event:
    """The last event before the adapter closes the connection."""

    async def run() -> Event:
        async with adapted(url, limits, key) as connect:
            reader, writer = await connect()
            for each in sent:
                writer.write(encode(each) if isinstance(each, Event) else each)
            found = await answers(reader)
            writer.close()
            return found[-1]

    return asyncio.run(run())


@pytest.mark.parametrize(
    "sent",
    [
        (b"GET / HTTP/1.1\r\n\r\n",),
        (b"x" * 20_000,),
        (b'{"type": "audio-chunk", "payload_length": 999999999}\n',),
        (Event(type="audio-start", data={**AUDIO, "width": 4}),),
        (Event(type="transcribe", data={"language": 7}),),
        (START, START),
        (START, chunk(0.1, rate=8_000)),
        (START, chunk(1.0), chunk(1.0), chunk(1.0)),
    ],
    ids=range(8),
)
def test_what_is_malformed_or_too_long_closes_the_connection(
    upstream: LiveServer, sent: tuple[Event | bytes, ...]
) -> None:
    last = last_of(upstream.url, *sent, limits=Limits(seconds=2.5))
    assert (last.type, last.data["code"]) == ("error", "malformed")
    until(lambda: len(upstream.script.sessions) == upstream.script.closed, "end of the sessions")


@pytest.mark.parametrize(
    ("key", "url", "code"), [("unknown", None, "not-authorised"), (KEY, "ws://127.0.0.1:9", "unreachable")]
)
def test_a_server_that_refuses_is_told(upstream: LiveServer, key: str, url: str | None, code: str) -> None:
    last = last_of(url or upstream.url, START, chunk(0.1), STOP, key=key)
    assert (last.type, last.data["code"]) == ("error", code)


def test_a_request_that_the_server_refuses_is_told(upstream: LiveServer) -> None:
    last = last_of(upstream.url, Event(type="transcribe", data={"language": "?!"}), START)
    assert (last.type, last.data["code"]) == ("error", "invalid_language")
    assert "language" in last.data["text"]


def test_a_silent_client_and_one_that_sends_single_bytes_are_closed(upstream: LiveServer) -> None:
    async def run() -> None:
        async with adapted(upstream.url, Limits(idle=0.5)) as connect:
            silent, _ = await connect()
            slow, writer = await connect()

            async def trickle() -> None:
                with contextlib.suppress(ConnectionError):
                    while True:
                        writer.write(b"x")
                        await writer.drain()
                        await asyncio.sleep(0.1)

            trickling = asyncio.ensure_future(trickle())
            assert await answers(silent) == []
            with contextlib.suppress(ConnectionError):
                assert await answers(slow) == []
            trickling.cancel()

    asyncio.run(run())


def test_there_are_no_more_connections_than_allowed(upstream: LiveServer) -> None:
    async def run() -> None:
        async with adapted(upstream.url, Limits(connections=1)) as connect:
            reader, writer = await connect()
            writer.write(encode(Event(type="ping")))
            await reader.readline()
            second, _ = await connect()
            (refused,) = await answers(second)
            assert refused.data["code"] == "busy"
            writer.close()
            await asyncio.sleep(0.2)
            third, other = await connect()
            other.write(encode(Event(type="ping", data={"text": "b"})))
            assert b"pong" in await third.readline()
            other.close()

    asyncio.run(run())


def test_a_client_that_leaves_ends_its_session(upstream: LiveServer) -> None:
    before = upstream.script.closed

    async def run() -> None:
        async with adapted(upstream.url) as connect:
            _, writer = await connect()
            writer.write(encode(START) + encode(chunk(0.5)))
            await writer.drain()
            while len(upstream.script.sessions) == before:  # noqa: ASYNC110 - the other thread sets no event
                await asyncio.sleep(0.05)
            writer.close()
            while upstream.script.closed == before:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(run(), 60))
