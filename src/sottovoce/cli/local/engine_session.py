"""Helpers of `transcribe` and `align`: an engine process of the command's own, error messages, and a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sottovoce.engines.engine import EngineKey
    from sottovoce.engines.protocols import Capabilities
    from sottovoce.engines.registry import Choice
    from sottovoce.errors import Refused
    from sottovoce.inference import messages as m
    from sottovoce.inference.pool import Pool
    from sottovoce.settings import Settings


@contextmanager
def local_pool(
    settings: "Settings", choose: "Callable[[tuple[Capabilities, ...]], Choice]"
) -> "Iterator[tuple[Pool, EngineKey, tuple[Capabilities, ...]]]":
    """A pool with one started engine process, the key of the engine that *choose* returns, and the capabilities of all engines.

    Raises `EngineUnavailable`.
    """
    from sottovoce.bootstrap import engines
    from sottovoce.engines import registry
    from sottovoce.inference.pool import Pool

    engine_config, slots = engines(settings)
    offers = registry.offered(engine_config, settings.engine)
    choice = choose(offers)
    key = choice.key
    pool = Pool(engine_config=engine_config, slots=slots)  # one process, which may use all slots
    try:
        pool.prestart(key, 1)
        yield pool, key, offers
    finally:
        pool.close()


_OPTIONS = {
    "transcription_config.language": "--language",
    "transcription_config.diarization": "--diarization",
    "transcription_config.output_locale": "--locale",
}
"""Members of a config that a command takes as options."""


def _said(refusal: "Refused") -> str:
    """The refusal in the words of the command line."""
    from sottovoce.errors import Kind

    if refusal.kind is Kind.LANGUAGE:
        return f"{refusal.detail}; name the language with --language"
    at = _OPTIONS.get(refusal.at or "", refusal.at)
    return f"{at}: {refusal.why}" if at else refusal.detail or str(refusal.kind)


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Turn refusals and failures of the engine process into a `ClickException` of one line."""
    from sottovoce.errors import Refused
    from sottovoce.inference.pool import EngineMisconfigured, EngineTemporarilyUnavailable, ProcessDied, TaskCrashed

    try:
        yield
    except Refused as refusal:
        raise click.ClickException(_said(refusal)) from refusal
    except (ProcessDied, TaskCrashed, EngineMisconfigured, EngineTemporarilyUnavailable) as error:
        raise click.ClickException(f"the engine process failed: {str(error).splitlines()[-1]}") from error


@contextmanager
def progress(name: str) -> "Iterator[Callable[[m.Message, bytes], None]]":
    """A listener that draws a progress bar on a terminal and prints the engine's notes on the file to standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from sottovoce.inference import messages as m

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(name, total=None)

        def listen(message: m.Message, _payload: bytes) -> None:
            if isinstance(message, m.Progress):
                bar.update(task, completed=message.done, total=message.total)
            elif (
                isinstance(message, m.Stage)
                and message.name in {"media", "recognise"}
                and not message.note.startswith("engine ")
            ):
                console.print(f"{name}: {message.note}", markup=False, highlight=False, soft_wrap=True)

        yield listen
