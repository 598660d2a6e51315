"""`transcribe`: files here and now, without a server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sottovoce import __version__
from sottovoce.cli.common import data_dir, settings_of

if TYPE_CHECKING:
    from sottovoce.inference import messages as m
    from sottovoce.inference.pool import Pool
    from sottovoce.settings import Settings
    from sottovoce.transcript.model import Transcript


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "shape", type=click.Choice(["txt", "json"]), default="txt", show_default=True)
@click.option("--language", default="en", show_default=True, help="Language code, or auto to have it identified.")
@click.option("--operating-point", type=click.Choice(["standard", "enhanced"]), default="standard", show_default=True)
@click.option("--diarization", type=click.Choice(["none", "channel"]), default="none", show_default=True)
@click.option("--engine", help="Recogniser: auto, whisper, onnx-asr or pocketsphinx (SOTTOVOCE_ENGINE; auto).")
@data_dir
def transcribe(
    files: tuple[Path, ...], *, shape: str, language: str, operating_point: str, diarization: str, **flags: object
) -> None:
    """Transcribe FILES here and now, without a server, in the same way as one would."""
    from sottovoce.errors import Refused
    from sottovoce.inference.pool import ChildBroke, ChildDied, EngineBroken, EngineDown

    settings = settings_of(**flags)
    asked = {"language": language, "operating_point": operating_point, "diarization": diarization}
    config = {"type": "transcription", "transcription_config": asked}
    try:
        with _local_pool(settings, language, operating_point) as (pool, key):
            for path in files:
                _transcribe_one(pool, key, path, config, shape=shape, headed=len(files) > 1)
    except Refused as refusal:
        raise click.ClickException(refusal.detail or str(refusal.kind)) from refusal
    except (ChildDied, ChildBroke, EngineBroken, EngineDown) as trouble:
        raise click.ClickException(f"the engine process failed: {str(trouble).splitlines()[-1]}") from trouble


@contextmanager
def _local_pool(settings: "Settings", language: str, point: str) -> "Iterator[tuple[Pool, m.EngineKey]]":
    """One warm engine process for *language* and operating *point*. Raises `EngineUnavailable`."""
    from sottovoce.engines import registry
    from sottovoce.inference import messages as m
    from sottovoce.inference.pool import Pool
    from sottovoce.request import OperatingPoint
    from sottovoce.web.app import engines

    setup, slots = engines(settings)
    setup = replace(setup, threads=settings.engine_threads or setup.threads * slots)  # one process has all to itself
    choice = registry.choose(language, OperatingPoint(point), registry.offered(setup, settings.engine))
    key = m.EngineKey(engine=choice.engine, model=choice.model, device=choice.device)
    pool = Pool(setup=setup)
    try:
        pool.warm(key, 1)
        yield pool, key
    finally:
        pool.close()


def _transcribe_one(
    pool: "Pool", key: "m.EngineKey", path: Path, config: dict[str, Any], *, shape: str, headed: bool
) -> None:
    import json

    from sottovoce.inference import messages as m
    from sottovoce.inference.pool import Task
    from sottovoce.request import TranscriptionRequest
    from sottovoce.transcript import codec
    from sottovoce.wire import txt
    from sottovoce.wire.v2_config import parse_job_config

    request = parse_job_config(json.dumps(config).encode())
    if not isinstance(request, TranscriptionRequest):
        raise TypeError(request)
    task = Task(message=m.Transcribe(path=str(path.resolve()), request=request))
    with _progress(path.name) as listen:
        outcome = pool.run_blocking(key, task, listen)
    transcript = codec.decode(outcome.payload)
    if headed and shape == "txt":
        click.echo(f"# {path.name}")
    if shape == "txt":
        click.echo(txt.render(transcript, diarization=request.diarization))
    else:
        click.echo(_as_json(transcript, path.name, config))


def _as_json(transcript: "Transcript", name: str, config: dict[str, Any]) -> str:
    import orjson

    from sottovoce.job import State
    from sottovoce.transcript.model import RATE
    from sottovoce.wire import v2_transcript
    from sottovoce.wire.v2_jobs import JobView

    view = JobView(
        id="local",
        state=State.DONE,
        created_at=transcript.created_at,
        data_name=name,
        duration_ms=transcript.duration * 1000 // RATE,
        config=config,
    )
    source = v2_transcript.Source(transcript=transcript, job=view, version=__version__)
    return orjson.dumps(v2_transcript.render(source), option=orjson.OPT_INDENT_2).decode()


@contextmanager
def _progress(name: str) -> "Iterator[Callable[[m.Message, bytes], None]]":
    """A listener that draws a bar on a terminal, and nothing elsewhere."""
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

        yield listen
