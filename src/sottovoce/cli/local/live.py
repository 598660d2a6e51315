"""`sottovoce live`: captions in the terminal while a person speaks, without a server.

In order: the command; the sources of audio; the captions.
"""

import asyncio
import importlib
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sottovoce.cli.common import ENGINE_HELP, data_dir, settings_of
from sottovoce.cli.local.engine_session import friendly_errors

if TYPE_CHECKING:
    from sottovoce.request import LiveRequest
    from sottovoce.settings import Settings
    from sottovoce.transcript.model import Item

PIECE = 0.1
"""Seconds of audio sent at once."""
_BREAK = 0.8  # seconds of silence after which a new line begins


@click.command()
@click.argument("source", default="", metavar="[FILE|-]")
@click.option(
    "--device", is_flag=False, flag_value="", help="Listen to a microphone: its name or number, or the default one."
)
@click.option(
    "--rate", type=click.IntRange(8_000, 192_000), default=16_000, show_default=True, help="Hz of the PCM of `-`."
)
@click.option("--fast", is_flag=True, help="Read a file as fast as it can be recognised, not at the pace of speech.")
@click.option("--language", default="en", show_default=True, help="Language code.")
@click.option(
    "--max-delay",
    type=click.FloatRange(0.7, 4.0),
    default=2.0,
    show_default=True,
    help="Seconds until words are final.",
)
@click.option("--operating-point", type=click.Choice(["standard", "enhanced"]), default="standard", show_default=True)
@click.option("--engine", help=ENGINE_HELP)
@click.option("--model", help="Name of the model (SOTTOVOCE_STANDARD_MODEL; the best installed one).")
@data_dir
def live(
    *,
    source: str,
    device: str | None,
    rate: int,
    fast: bool,
    language: str,
    max_delay: float,
    operating_point: str,
    model: str | None,
    **flags: object,
) -> None:
    """Show captions of FILE at the pace of speech, of PCM on standard input (`-`: 16 bits, mono), or of a microphone (--device)."""
    from sottovoce.cli.server.ensure_models import link_bundled
    from sottovoce.request import AudioFormat, AudioType, Encoding, LiveRequest, OperatingPoint

    if (device is None) == (not source):
        raise click.UsageError("name one source: a FILE, `-` for PCM on standard input, or --device for a microphone")
    if source not in {"", "-"} and not Path(source).is_file():
        raise click.ClickException(f"{source} is not a file")
    settings = settings_of(**flags, standard_model=model, enhanced_model=model)
    link_bundled(settings)
    request = LiveRequest(
        language=language,
        audio=AudioFormat(
            type=AudioType.RAW, encoding=Encoding.PCM_S16LE, sample_rate=rate if source == "-" else 16_000
        ),
        operating_point=OperatingPoint(operating_point),
        enable_partials=sys.stdout.isatty(),
        max_delay=max_delay,
        end_of_utterance_silence_trigger=_BREAK,
    )
    with friendly_errors():
        try:
            asyncio.run(_caption(settings, request, _pieces(source, device, rate, paced=not fast)))
        except KeyboardInterrupt:
            click.echo()


async def _caption(settings: "Settings", request: "LiveRequest", pieces: AsyncIterator[bytes]) -> None:
    """Recognise *pieces* in a process of the command's own, and print the words."""
    from sottovoce.bootstrap import engines
    from sottovoce.engines import registry
    from sottovoce.engines.protocols import Skill
    from sottovoce.engines.resolution import resolve
    from sottovoce.inference.pool import Pool

    engine_config, slots = engines(settings)
    resolved = resolve(request, registry.offered(engine_config, settings.engine))
    pool = Pool(engine_config=engine_config, slots=slots)
    try:
        await asyncio.to_thread(pool.prestart_live, resolved.keys[Skill.LIVE])
        async with pool.live(resolved.keys, request) as session:
            printing = asyncio.create_task(_print(session.events(), request.language))
            async for piece in pieces:
                if printing.done():
                    break
                await session.send(0, piece)
            await session.finish()
            await printing
    finally:
        await asyncio.to_thread(pool.close)


# ── the sources of audio ──


def _pieces(source: str, device: str | None, rate: int, *, paced: bool) -> AsyncIterator[bytes]:
    if device is not None:
        return _of_device(device)
    return _of_input(rate) if source == "-" else _of_file(Path(source), paced=paced)


async def _of_file(path: Path, *, paced: bool) -> AsyncIterator[bytes]:
    """Yield the audio of the file at *path* as 16-bit samples at 16 kHz, at the pace of speech if *paced*."""
    from sottovoce.audio import media
    from sottovoce.transcript.model import RATE

    loop = asyncio.get_running_loop()
    begun, sent = loop.time(), 0
    blocks = iter(media.decode(path, block=round(PIECE * RATE)))
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        if paced:
            await asyncio.sleep(max(begun + sent / RATE - loop.time(), 0))
        sent += block.shape[1]
        yield (block[0] * 32_767).astype("<i2").tobytes()


async def _of_input(rate: int) -> AsyncIterator[bytes]:
    """Yield what arrives on standard input."""
    size = round(PIECE * rate) * 2
    while data := await asyncio.to_thread(os.read, sys.stdin.fileno(), size):
        yield data


async def _of_device(device: str) -> AsyncIterator[bytes]:
    """Yield what a microphone records, 16 bits at 16 kHz."""
    try:
        sounddevice = importlib.import_module("sounddevice")
    except ImportError as error:
        raise click.ClickException(f"no microphone can be used: {error}; run `pip install sounddevice`") from error
    except OSError as error:
        why = f"no microphone can be used: {error}; install PortAudio (Debian: `apt-get install libportaudio2`)"
        raise click.ClickException(why) from error
    loop = asyncio.get_running_loop()
    recorded: asyncio.Queue[bytes] = asyncio.Queue()

    def record(data: Any, _frames: int, _time: object, _status: object) -> None:
        loop.call_soon_threadsafe(recorded.put_nowait, bytes(data))

    chosen: int | str | None = int(device) if device.isdigit() else device or None
    try:
        stream = sounddevice.RawInputStream(
            samplerate=16_000,
            channels=1,
            dtype="int16",
            device=chosen,
            blocksize=round(PIECE * 16_000),
            callback=record,
        )
    except (ValueError, sounddevice.PortAudioError) as error:
        raise click.ClickException(f"the microphone cannot be used: {error}") from error
    with stream:
        while True:
            yield await recorded.get()


# ── the captions ──


async def _print(events: AsyncIterator[Any], language: str) -> None:
    """Print finals, one line for each utterance, and on a terminal the words that may still change."""
    from sottovoce.inference.live_events import Failed, Final, Partial, UtteranceEnd
    from sottovoce.transcript.languages import pack

    captions = _Captions(pack(language))
    async for event in events:
        match event:
            case Final():
                captions.final(event.items)
            case Partial():
                captions.partial(event.items)
            case UtteranceEnd():
                captions.end()
            case Failed():
                captions.end()
                raise click.ClickException(event.detail)
    captions.end()


class _Captions:
    """The current line: its final items, and on a terminal the open words behind them in grey."""

    def __init__(self, language: Any) -> None:
        self._pack = language
        self._items: list[Item] = []
        self._terminal = sys.stdout.isatty()

    def final(self, items: "tuple[Item, ...]") -> None:
        self._items.extend(items)
        self._show(())

    def partial(self, items: "tuple[Item, ...]") -> None:
        self._show(items)

    def end(self) -> None:
        if self._items:
            self._clear()
            click.echo(self._text(self._items))
        self._items = []

    def _text(self, items: "list[Item] | tuple[Item, ...]") -> str:
        from sottovoce.transcript.formatting import join

        return join(items, self._pack)

    def _show(self, items: "tuple[Item, ...]") -> None:
        if not self._terminal:
            return
        final, whole = self._text(self._items), self._text([*self._items, *items])
        width = max(shutil.get_terminal_size().columns - 1, 20)
        cut = max(len(whole) - width, 0)
        self._clear()
        click.echo(final[cut:] + click.style(whole[max(len(final), cut) :], dim=True), nl=False)

    def _clear(self) -> None:
        if self._terminal:
            click.echo("\r\x1b[K", nl=False)
