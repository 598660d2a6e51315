"""`transcribe`: transcribes files on this machine without a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sottovoce import __version__
from sottovoce.cli.common import ENGINE_HELP, data_dir, settings_of
from sottovoce.cli.local.engine_session import friendly_errors, local_pool, progress

if TYPE_CHECKING:
    from sottovoce.engines.engine import EngineKey
    from sottovoce.engines.protocols import Capabilities
    from sottovoce.engines.registry import Choice
    from sottovoce.inference.pool import Pool
    from sottovoce.request import OperatingPoint, TranscriptionRequest
    from sottovoce.transcript.model import Transcript


class FormatName(click.ParamType[str]):
    """The name of an output format; `json` is short for `json-v2`."""

    name = "format"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name in the table of formats."""
        from sottovoce.wire.formats.table import FORMATS

        name = "json-v2" if value == "json" else str(value)
        if name not in FORMATS:
            self.fail(f"{value!r} is not a format; formats are json, {', '.join(FORMATS)}", param, ctx)
        return name


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "shape", type=FormatName(), default="txt", show_default=True, help="txt, json, srt or vtt.")
@click.option(
    "--language",
    help="Language code, or auto to identify it; default: auto if the engine can identify languages, else en.",
)
@click.option("--operating-point", type=click.Choice(["standard", "enhanced"]), default="standard", show_default=True)
@click.option("--diarization", type=click.Choice(["none", "channel", "speaker"]), default="none", show_default=True)
@click.option("--entities", is_flag=True, help="In JSON: numbers, money, dates … as entities with their spoken form.")
@click.option(
    "--locale",
    type=click.Choice(["en-GB", "en-US", "en-AU", "cmn-Hans", "cmn-Hant"]),
    help="Spelling of English, or script of Mandarin.",
)
@click.option("--engine", help=ENGINE_HELP)
@click.option(
    "--model", help="Name of the model, for either operating point (SOTTOVOCE_STANDARD_MODEL; the best installed one)."
)
@click.option(
    "--track",
    type=click.IntRange(min=1),
    help="Audio track of the files, counted from 1 (SOTTOVOCE_AUDIO_TRACK); default: the flagged one with sound, else the first.",
)
@data_dir
def transcribe(
    files: tuple[Path, ...],
    *,
    shape: str,
    language: str | None,
    operating_point: str,
    diarization: str,
    entities: bool,
    locale: str | None,
    model: str | None,
    track: int | None,
    **flags: object,
) -> None:
    """Transcribe FILES on this machine without a server, with the same results as a server."""
    from sottovoce.cli.server.ensure_models import link_bundled
    from sottovoce.request import OperatingPoint

    settings = settings_of(**flags, standard_model=model, enhanced_model=model)
    link_bundled(settings)
    point = OperatingPoint(operating_point)
    chooser = _EngineChooser(language or (locale.partition("-")[0] if locale else None), point)
    with friendly_errors(), local_pool(settings, chooser) as (pool, key, offers):
        options: dict[str, Any] = {
            "language": chooser.language,
            "operating_point": operating_point,
            "diarization": diarization,
            "enable_entities": entities,
        }
        if locale:
            options["output_locale"] = locale
        config = {"type": "transcription", "transcription_config": options}
        for path in files:
            _transcribe_one(pool, key, path, config, offers=offers, track=track, shape=shape, headed=len(files) > 1)


class _EngineChooser:
    """Chooses the engine for *language*. Without one, *language* becomes `auto` if the engine for English identifies languages."""

    def __init__(self, language: str | None, point: "OperatingPoint") -> None:
        self.language = language or ""
        self._point = point

    def __call__(self, offers: "tuple[Capabilities, ...]") -> "Choice":
        """The best engine of *offers*. Raises `EngineUnavailable`."""
        from sottovoce.engines import registry
        from sottovoce.errors import EngineUnavailable
        from sottovoce.transcript.languages import AUTO

        if not self.language:
            try:
                best = registry.choose("en", self._point, offers)
            except EngineUnavailable:  # only models of other languages are installed
                self.language = AUTO
            else:
                self.language = AUTO if best.capabilities.identifies_language else "en"
        return registry.choose(self.language, self._point, offers)


def _transcribe_one(
    pool: "Pool",
    key: "EngineKey",
    path: Path,
    config: dict[str, Any],
    *,
    offers: "tuple[Capabilities, ...]",
    track: int | None,
    shape: str,
    headed: bool,
) -> None:
    import json

    from sottovoce.audio.tracks import Wanted
    from sottovoce.engines.resolution import resolve
    from sottovoce.inference import messages as m
    from sottovoce.inference.pool import Task
    from sottovoce.request import TranscriptionRequest
    from sottovoce.transcript import codec
    from sottovoce.wire.v2.config import parse_job_config

    request = parse_job_config(json.dumps(config).encode())
    if not isinstance(request, TranscriptionRequest):
        raise TypeError(request)
    engines = resolve(request, offers).keys
    wanted = Wanted(number=track, required=True) if track else None
    task = Task(message=m.Transcribe(path=str(path.resolve()), request=request, engines=engines, track=wanted))
    with progress(path.name) as listen:
        outcome = pool.run_blocking(key, task, listen)
    if headed and shape == "txt":
        click.echo(f"# {path.name}")
    click.echo(_rendered(codec.decode(outcome.payload), path.name, config, request, shape))


def _rendered(
    transcript: "Transcript", name: str, config: dict[str, Any], request: "TranscriptionRequest", shape: str
) -> str:
    import orjson

    from sottovoce.job import State
    from sottovoce.transcript.model import RATE
    from sottovoce.wire.formats.table import FORMATS, Rendering
    from sottovoce.wire.v2.job import JobView

    view = JobView(
        id="local",
        state=State.DONE,
        created_at=transcript.created_at,
        data_name=name,
        duration_ms=transcript.duration * 1000 // RATE,
        config=config,
    )
    form = FORMATS[shape]
    value = form.render(Rendering(transcript=transcript, job=view, request=request, version=__version__))
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() if form.is_json else str(value)
