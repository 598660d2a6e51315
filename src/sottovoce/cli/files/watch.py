"""`watch`: transcribes the files of a folder as they arrive, on this machine or by a server."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sottovoce.cli.files.transcribe import chosen_outputs, opener, work_options

if TYPE_CHECKING:
    from sottovoce.cli.files.run import Transcriber
    from sottovoce.cli.files.watcher import Places, Watcher

_FOLDER = click.Path(file_okay=False, path_type=Path)
INTERVAL = 1.0
"""Seconds between two looks at the folder."""


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", "--output-dir", "out", type=_FOLDER, required=True, help="Write NAME.txt and so on here.")
@click.option("--done", type=_FOLDER, help="Move each transcribed file into this folder; default: it stays.")
@click.option("--failed", type=_FOLDER, help="Move each file that failed into this folder; default: it stays.")
@click.option(
    "--settle",
    type=click.FloatRange(0, 86_400),
    default=5.0,
    show_default=True,
    help="Seconds for which a file must not have changed before it is read.",
)
@click.option("--retry-failed", is_flag=True, help="Try files that failed in an earlier run once more.")
@click.option("--once", is_flag=True, help="End when every file is done; the exit code is 1 if one failed.")
@work_options
@click.pass_context
def watch(
    context: click.Context,
    /,
    *,
    folder: Path,
    out: Path,
    done: Path | None,
    failed: Path | None,
    settle: float,
    retry_failed: bool,
    once: bool,
    shapes: tuple[tuple[str, ...], ...],
    quiet: bool,
    machine: bool,
    **work: Any,
) -> None:
    """Transcribe each file that appears in FOLDER or below, once, until Ctrl-C.

    A file is read when it has stopped growing. What is done is listed in OUT, so that a restart goes on and repeats nothing; a file
    that has changed is transcribed again. A file that fails is named with the reason, and the others go on.
    """
    from sottovoce.cli.files.journal import journal_in
    from sottovoce.cli.files.reports import Reports
    from sottovoce.cli.files.watcher import Places, Watcher

    forms = tuple(dict.fromkeys(name for names in shapes for name in names)) or ("txt",)
    places = Places(
        folder=folder, outputs=chosen_outputs(forms, None, out, work["translate"]), done=done, failed=failed
    )
    _check(places)
    opened = opener(**work)
    reports = Reports(quiet=quiet, machine=machine, count=1)
    with journal_in(out) as journal, _kept_open(opened, remote=work["server"] is not None) as transcriber:
        watcher = Watcher(places, journal, transcriber, reports, settle=settle, again=retry_failed)
        reports.say(f"watching {folder}; transcripts go to {out}; Ctrl-C ends it")
        context.exit(_run(watcher, once=once, say=reports.say))


def _run(watcher: "Watcher", *, once: bool, say: Callable[[str], None]) -> int:
    """The exit code of the command."""
    usable, stopped = True, threading.Event()

    def stop(*_: object) -> None:
        if not stopped.is_set():  # a second signal does not cut the end
            stopped.set()
            raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        usable = watcher.run(lambda: not stopped.wait(INTERVAL), once=once)
    except KeyboardInterrupt:
        left = f"; {watcher.current} is transcribed at the next start" if watcher.current else ""
        say(f"stopped: {watcher.done} transcribed, {watcher.failed} failed{left}")
        return 130 if once else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    say(f"{watcher.done} transcribed, {watcher.failed} failed")
    return 1 if watcher.failed or not usable else 0


def _check(places: "Places") -> None:
    """Raise `click.UsageError` if files would be moved to where they are."""
    for option, folder in (("--done", places.done), ("--failed", places.failed)):
        if folder is not None and folder.resolve() == places.folder.resolve():
            raise click.UsageError(f"{option} is the watched folder; name another one")


@contextmanager
def _kept_open(
    opened: "Callable[[], AbstractContextManager[Transcriber]]", *, remote: bool
) -> "Iterator[Callable[[], Transcriber]]":
    """What gives the transcriber, opened at the first file and kept. A server that is away is `Unavailable`."""
    from sottovoce.cli.files.failures import Unavailable

    kept: list[Transcriber] = []
    with ExitStack() as stack:

        def get() -> "Transcriber":
            if not kept:
                try:
                    kept.append(stack.enter_context(opened()))
                except click.UsageError:
                    raise
                except click.ClickException as error:
                    if not remote:
                        raise
                    raise Unavailable(error.message) from error
            return kept[0]

        yield get
