"""The run of `transcribe` over its files: one after another, a failure of one does not stop the others."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import click

from sottovoce.cli.files.failures import FileFailed
from sottovoce.cli.files.outputs import Outputs
from sottovoce.cli.files.reports import Listener, Reports
from sottovoce.cli.files.sources import Source, SourceKind


class Transcriber(Protocol):
    """Transcribes one file at a time."""

    def transcribe(self, source: Source, forms: Sequence[str], listen: Listener) -> Mapping[str, bytes]:
        """The transcript of *source* in each of *forms*. Raises `FileFailed`."""


class Printer:
    """Prints transcripts on standard output. Several in JSON become one list; *headed*: text under the name of its file."""

    def __init__(self, form: str, *, headed: bool, several: bool) -> None:
        self._form = form
        self._headed = headed
        self._list = several and form == "json-v2"
        self._printed = 0

    def show(self, source: Source, rendered: Mapping[str, bytes]) -> None:
        """Print one transcript."""
        if self._headed:
            click.echo(f"# {source.name}")
        elif self._list:
            click.echo("," if self._printed else "[")
        text = rendered[self._form].decode()
        click.echo(text.rstrip("\n") if self._list else text, nl=False)
        self._printed += 1

    def close(self) -> None:
        """End the list."""
        if self._list:
            click.echo("\n]" if self._printed else "[]")


def run(
    sources: Sequence[Source],
    outputs: Outputs,
    *,
    opened: Callable[[], AbstractContextManager[Transcriber]],
    reports: Reports,
    printer: Printer | None,
    skip_existing: bool,
) -> int:
    """Transcribe *sources*; return how many failed. *opened* gives the transcriber; it is not asked if nothing is to be done."""
    skipped = [source for source in sources if skip_existing and outputs.complete(source)]
    for source in skipped:
        reports.skipped(source.text)
    missing = [source for source in sources if source.kind is SourceKind.MISSING and source not in skipped]
    for source in missing:
        reports.failed(source.text, "there is no such file, and no folder or pattern of that name with media in it")
    waiting = [source for source in sources if source not in {*skipped, *missing}]
    failed = len(missing)
    if waiting:
        with opened() as transcriber:
            for number, source in zip(itertools.count(1), waiting, strict=False):
                try:
                    _one(transcriber, source, outputs, number=number, reports=reports, printer=printer)
                except FileFailed as error:
                    failed += 1
                    reports.failed(source.text, str(error))
    if printer is not None:
        printer.close()
    reports.ended(done=len(sources) - len(skipped) - failed, skipped=len(skipped), failed=failed)
    return failed


def _one(
    transcriber: Transcriber,
    source: Source,
    outputs: Outputs,
    *,
    number: int,
    reports: Reports,
    printer: Printer | None,
) -> None:
    forms = tuple(outputs.suffixes)
    with reports.file(source.text, number) as listen:
        rendered = transcriber.transcribe(source, forms, listen)
    written = outputs.write(source, rendered)
    if written:
        reports.event("done", file=source.text, outputs=[str(path) for path in written])
    elif printer is not None:
        printer.show(source, rendered)
    else:
        shown = {form: json.loads(text) if form == "json-v2" else text.decode() for form, text in rendered.items()}
        reports.event("done", file=source.text, transcripts=shown)
