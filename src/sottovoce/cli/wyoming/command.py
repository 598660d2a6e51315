"""`sottovoce wyoming`: a Wyoming server for Home Assistant in front of a Sottovoce server."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from sottovoce.cli.wyoming.adapter import Adapter

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@click.command()
@click.option(
    "--uri",
    default="tcp://127.0.0.1:10300",
    show_default=True,
    help="Where to listen: tcp://HOST:PORT or unix:///PATH.",
)
@click.option("--server", required=True, metavar="URL", help="The Sottovoce server: ws://HOST:PORT or wss://HOST.")
@click.option("--key", envvar="SOTTOVOCE_API_KEY", show_envvar=True, help="API key of the server.")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), help="File with the API key.")
@click.option("--language", default="en", show_default=True, help="Language of requests that name none.")
@click.option(
    "--max-delay",
    type=click.FloatRange(0.7, 4.0),
    default=1.0,
    show_default=True,
    help="Seconds until words are final.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(1, 86_400),
    default=300.0,
    show_default=True,
    help="Most audio of one request.",
)
@click.option(
    "--max-connections", type=click.IntRange(1, 10_000), default=32, show_default=True, help="Most clients at once."
)
@click.option(
    "--idle-timeout",
    type=click.FloatRange(1, 86_400),
    default=300.0,
    show_default=True,
    help="Seconds without an event.",
)
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
def wyoming(
    *,
    uri: str,
    server: str,
    key: str | None,
    key_file: Path | None,
    language: str,
    max_delay: float,
    max_seconds: float,
    max_connections: int,
    idle_timeout: float,
    log_level: str,
) -> None:
    """Serve Home Assistant's Wyoming protocol, until SIGTERM or Ctrl-C. The Wyoming protocol itself has no key."""
    from sottovoce import logs
    from sottovoce.cli.wyoming.adapter import Adapter, Defaults, Limits
    from sottovoce.cli.wyoming.upstream import Server

    if urlsplit(server).scheme not in {"ws", "wss"} or not urlsplit(server).hostname:
        raise click.UsageError("--server must be ws://HOST:PORT or wss://HOST")
    logs.set_up(log_level.upper())
    adapter = Adapter(
        Server(url=server, key=_key(key, key_file)),
        Defaults(language=language, max_delay=max_delay),
        Limits(connections=max_connections, seconds=max_seconds, idle=idle_timeout),
    )
    asyncio.run(_run(adapter, uri))


def _key(key: str | None, file: Path | None) -> str:
    if (key is None) == (file is None):
        raise click.UsageError("give the API key of the server, as --key or in --key-file")
    try:
        found = key if file is None else file.read_text(encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from error
    text = (found or "").strip()
    if not text.isascii() or not text.isprintable() or not text:
        raise click.ClickException("the API key must be printable ASCII characters")
    return text


async def _run(adapter: "Adapter", uri: str) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # asyncio's streams take it for an error (Python 3.11)
            await adapter.serve(reader, writer)

    listening, shown = await _listening(serve, uri)
    click.echo(f"Wyoming is listening on {shown}")
    async with listening:
        await stopped.wait()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def _listening(serve: Serve, uri: str) -> tuple[asyncio.Server, str]:
    """The socket that *uri* names, and its address. Raises `click.UsageError` and `click.ClickException`."""
    parts = urlsplit(uri)
    try:
        if parts.scheme == "unix" and parts.path:
            return await asyncio.start_unix_server(serve, parts.path), uri
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None:
            server = await asyncio.start_server(serve, parts.hostname, parts.port)
            port = server.sockets[0].getsockname()[1]
            return server, f"tcp://{parts.netloc.rpartition(':')[0]}:{port}"
    except OSError as error:
        raise click.ClickException(f"cannot listen on {uri}: {error.strerror or error}") from error
    except ValueError:
        pass  # the port is no number
    raise click.UsageError("--uri must be tcp://HOST:PORT or unix:///PATH")
