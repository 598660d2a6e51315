"""`transcribe`: transcribes files on this machine without a server, or by a server with `--server`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sottovoce.cli.common import ENGINE_HELP, data_dir, settings_of

if TYPE_CHECKING:
    from sottovoce.cli.files.job_config import Wishes
    from sottovoce.cli.files.outputs import Outputs
    from sottovoce.cli.files.run import Printer, Transcriber

F = TypeVar("F", bound=Callable[..., Any])


class Codes(click.ParamType[tuple[str, ...]]):
    """Codes of languages, separated by commas."""

    name = "languages"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The codes, each of which is in the contract."""
        from sottovoce.transcript.languages import PACKS

        if isinstance(value, tuple):
            return value
        codes = tuple(str(value).replace(" ", "").split(","))
        for code in codes:
            if code not in PACKS:
                self.fail(f"{code!r} is not a language code, such as en or de", param, ctx)
        return codes


class FormatNames(click.ParamType[tuple[str, ...]]):
    """Names of output formats, separated by commas; `json` is short for `json-v2`."""

    name = "format"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The names of the formats, for the help."""
        from sottovoce.wire.formats.table import FORMATS

        del param, ctx
        return f"[{'|'.join(name.removesuffix('-v2') for name in FORMATS)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The names in the table of formats."""
        from sottovoce.wire.formats.table import FORMATS

        if isinstance(value, tuple):
            return value
        names = tuple("json-v2" if name == "json" else name for name in str(value).replace(" ", "").split(","))
        for name in names:
            if name not in FORMATS:
                self.fail(f"{name!r} is not a format; formats are json, {', '.join(FORMATS)}", param, ctx)
        return names


_WISHES = (
    click.option(
        "--language",
        help="Language code, or auto to identify it; default: auto if the engine can identify languages, else en.",
    ),
    click.option(
        "--operating-point", type=click.Choice(["standard", "enhanced"]), default="standard", show_default=True
    ),
    click.option("--diarization", type=click.Choice(["none", "channel", "speaker"]), default="none", show_default=True),
    click.option(
        "--entities", is_flag=True, help="In JSON: numbers, money, dates … as entities with their spoken form."
    ),
    click.option(
        "--locale",
        type=click.Choice(["en-GB", "en-US", "en-AU", "cmn-Hans", "cmn-Hant"]),
        help="Spelling of English, or script of Mandarin.",
    ),
    click.option(
        "--vocab",
        multiple=True,
        metavar="FILE|WORD",
        help="Custom word, or file of them (lines `word` or `word: sounds like, …`, or a JSON list); repeatable.",
    ),
    click.option("--max-line-length", type=click.IntRange(1, 10_000), help="Characters of a subtitle line (37)."),
    click.option("--max-lines", type=click.IntRange(1, 1_000), help="Lines of a subtitle (2)."),
    click.option("--summary", is_flag=True, help="In JSON: a summary."),
    click.option(
        "--translate",
        type=Codes(),
        multiple=True,
        metavar="LANG",
        help="Translate into this language; with --output-dir NAME.de.txt and so on beside the transcript. Repeatable.",
    ),
    click.option(
        "--format",
        "shapes",
        type=FormatNames(),
        multiple=True,
        help="Repeatable, or several with commas. Default: what -o is called, else txt.",
    ),
    click.option("--server", metavar="URL", help="Transcribe by the server at this address, not on this machine."),
    click.option("--key", envvar="SOTTOVOCE_API_KEY", help="API key of --server (SOTTOVOCE_API_KEY)."),
    click.option("--quiet", "-q", is_flag=True, help="Print no progress and no notes, only transcripts and failures."),
    click.option(
        "--json", "machine", is_flag=True, help="Print JSON lines on standard output: what happens to each file."
    ),
    click.option("--engine", help=ENGINE_HELP),
    click.option(
        "--model",
        help="Name of the model, for either operating point (SOTTOVOCE_STANDARD_MODEL; the best installed one).",
    ),
    click.option(
        "--track",
        type=click.IntRange(min=1),
        help="Audio track of the files, from 1 (SOTTOVOCE_AUDIO_TRACK); default: the flagged one with sound, else the first.",
    ),
    data_dir,
)


def work_options(command: F) -> F:
    """The options of `transcribe` that say what is done with a file, not which files and where to."""
    for option in reversed(_WISHES):
        command = option(command)
    return command


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option(
    "--output", "-o", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the transcript to this file."
)
@click.option(
    "--output-dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write NAME.txt and so on for each file into this folder.",
)
@click.option("--skip-existing", is_flag=True, help="Leave out files whose outputs exist.")
@work_options
@click.pass_context
def transcribe(
    context: click.Context,
    /,
    *,
    files: tuple[str, ...],
    file: Path | None,
    folder: Path | None,
    skip_existing: bool,
    shapes: tuple[tuple[str, ...], ...],
    quiet: bool,
    machine: bool,
    **work: Any,
) -> None:
    """Transcribe FILES on this machine without a server, with the same results as a server.

    FILES are media, folders, patterns such as 'calls/**/*.wav', URLs, or - for standard input. A file that fails does not stop
    the others; the exit code is then 1.
    """
    from sottovoce.cli.files import sources
    from sottovoce.cli.files.reports import Reports
    from sottovoce.cli.files.run import run

    found = sources.expanded(files)
    forms = tuple(dict.fromkeys(name for names in shapes for name in names)) or _named_by(file) or ("txt",)
    outputs = chosen_outputs(forms, file, folder, work["translate"])
    _check(len(found), outputs, skip_existing=skip_existing, machine=machine)
    opened = opener(**work)
    printing = not outputs.paths(found[0]) and not machine
    failed = run(
        found,
        outputs,
        opened=opened,
        reports=Reports(quiet=quiet, machine=machine, count=len(found)),
        printer=_printer(next(iter(outputs.suffixes)), several=len(found) > 1) if printing else None,
        skip_existing=skip_existing,
    )
    context.exit(1 if failed else 0)


def _printer(form: str, *, several: bool) -> "Printer":
    from sottovoce.cli.files.run import Printer

    return Printer(form, headed=several and form.partition(":")[0] == "txt", several=several)


def chosen_outputs(
    forms: tuple[str, ...], file: Path | None, folder: Path | None, translate: tuple[tuple[str, ...], ...] = ()
) -> "Outputs":
    """Where transcripts in *forms* go, and their translations into *translate*."""
    from sottovoce.cli.files.outputs import Outputs
    from sottovoce.cli.files.translated import suffixes

    if file is not None and folder is not None:
        raise click.UsageError("-o and --output-dir exclude each other")
    languages = tuple(dict.fromkeys(code for codes in translate for code in codes))
    return Outputs(suffixes=suffixes(forms, languages, both=folder is not None), file=file, folder=folder)


def _named_by(file: Path | None) -> tuple[str, ...]:
    """The format whose suffix *file* has."""
    from sottovoce.wire.formats.table import FORMATS

    return tuple(form.name for form in FORMATS.values() if file is not None and file.suffix.lower() == form.suffix)


def _check(count: int, outputs: "Outputs", *, skip_existing: bool, machine: bool) -> None:
    """Raise `click.UsageError` for outputs that would overwrite or mix each other."""
    from sottovoce.wire.formats.table import FORMATS

    forms = tuple(dict.fromkeys(form.partition(":")[0] for form in outputs.suffixes))
    if outputs.file is not None and (count > 1 or len(forms) > 1):
        raise click.UsageError("-o is for one file in one format; use --output-dir FOLDER for several")
    if outputs.file is None and outputs.folder is None:
        if skip_existing:
            raise click.UsageError("--skip-existing needs --output-dir or -o")
        if binary := [form for form in forms if FORMATS[form].is_binary]:
            raise click.UsageError(f"{binary[0]} needs -o FILE or --output-dir FOLDER")
        if len(forms) > 1 and not machine:
            raise click.UsageError("several formats need --output-dir FOLDER")
        if count > 1 and forms[0] in {"srt", "vtt"} and not machine:
            raise click.UsageError(f"{forms[0]} of several files needs --output-dir FOLDER")


def opener(
    *,
    server: str | None,
    key: str | None,
    engine: str | None,
    model: str | None,
    track: int | None,
    data_dir: Path | None,
    **wished: Any,
) -> "Callable[[], AbstractContextManager[Transcriber]]":
    """What opens the transcriber that the options name: a server, or an engine of this machine. Raises `click.UsageError`."""
    from sottovoce.cli.files.job_config import Wishes, vocabulary

    wishes = Wishes(**wished)
    vocabulary(wishes.vocab)  # before an engine starts
    if server is None:
        return _with_translations(wishes, lambda: _local(wishes, track, model=model, engine=engine, data_dir=data_dir))
    given = {"--engine": engine, "--model": model, "--track": track, "--data-dir": data_dir}
    if wrong := [name for name, value in given.items() if value is not None]:
        raise click.UsageError(f"{wrong[0]} is for this machine; with --server the server decides")
    if not key:
        raise click.UsageError("--server needs --key, an API key of that server, or SOTTOVOCE_API_KEY")

    def remote() -> "AbstractContextManager[Transcriber]":
        from sottovoce.cli.files.remote import remote_transcriber

        return remote_transcriber(server, key, wishes)

    return _with_translations(wishes, remote)


def _with_translations(
    wishes: "Wishes", opened: "Callable[[], AbstractContextManager[Transcriber]]"
) -> "Callable[[], AbstractContextManager[Transcriber]]":
    from sottovoce.cli.files.translated import translating

    return (lambda: translating(opened())) if wishes.targets else opened


def _local(
    wishes: "Wishes", track: int | None, *, model: str | None, **flags: object
) -> "AbstractContextManager[Transcriber]":
    from sottovoce.cli.files.local import local_transcriber

    settings = settings_of(**flags, standard_model=model, enhanced_model=model)
    return local_transcriber(settings, wishes, track)
