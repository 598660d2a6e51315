"""What `transcribe` tells while it works: a bar on a terminal, lines for people, or JSON lines for programs."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

Listener = Callable[["Step"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """News of a file: *done* of *total* (samples; `None`: unknown), or a *note* on it."""

    done: int = 0
    total: int | None = None
    note: str = ""


def seconds_left(elapsed: float, done: int, total: int | None) -> float | None:
    """Seconds until the end if the rest takes as long per sample as *done* samples took; `None` if that is unknown."""
    if not total or done <= 0:
        return None
    return elapsed * max(0, total - done) / done


class Reports:
    """*machine*: JSON lines on standard output. *quiet*: only failures, on standard error."""

    def __init__(self, *, quiet: bool, machine: bool, count: int) -> None:
        self._quiet = quiet
        self._machine = machine
        self._count = count

    def event(self, event: str, **members: Any) -> None:
        """Print a JSON line, if the reader is a program."""
        if self._machine:
            click.echo(_shown(json.dumps({"event": event, **members}, ensure_ascii=False)))

    def failed(self, name: str, reason: str) -> None:
        """Tell that a file failed, and why."""
        self.event("failed", file=name, reason=reason)
        click.echo(_shown(f"Error: {name}: {reason}"), err=True)

    def postponed(self, name: str, reason: str) -> None:
        """Tell that a file could not be transcribed now, for a reason that is not its own."""
        self.event("postponed", file=name, reason=reason)
        click.echo(_shown(f"{name}: {reason}; it is tried again"), err=True)

    def done(self, name: str, outputs: Sequence[Path]) -> None:
        """Tell that a file is done, and where its transcripts are."""
        self.event("done", file=name, outputs=[str(path) for path in outputs])
        self.say(f"{name}: {', '.join(map(str, outputs))}")

    def say(self, text: str) -> None:
        """Tell people, on standard error."""
        if not self._quiet and not self._machine:
            click.echo(_shown(text), err=True)

    def skipped(self, name: str) -> None:
        """Tell that the outputs of a file exist."""
        self.event("skipped", file=name)

    def ended(self, *, done: int, skipped: int, failed: int) -> None:
        """Tell the counts, if there is more than one file."""
        self.event("ended", done=done, skipped=skipped, failed=failed)
        if self._count > 1:
            self.say(f"{done} transcribed, {skipped} skipped, {failed} failed")

    @contextmanager
    def file(self, name: str, number: int) -> Iterator[Listener]:
        """A listener for the file *name*, the *number*th; it draws a bar on a terminal."""
        if self._machine:
            self.event("started", file=name)
            yield lambda step: self._line(name, step)
        elif self._quiet:
            yield lambda _step: None
        else:
            label = f"[{number}/{self._count}] {name}" if self._count > 1 else name
            with _bar(name, label) as listen:
                yield listen

    def _line(self, name: str, step: Step) -> None:
        if step.note:
            self.event("note", file=name, note=step.note)
        elif step.total:
            self.event("progress", file=name, fraction=round(min(1.0, step.done / step.total), 3))


def _shown(text: str) -> str:
    """*text* with `?` for what a name in bytes has that is not UTF-8."""
    return text.encode("utf-8", "replace").decode()


@contextmanager
def _bar(name: str, label: str) -> Iterator[Listener]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[left]}"),
    )
    began = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(escape(label), total=None, left="")

        def listen(step: Step) -> None:
            if step.note:
                console.print(f"{name}: {step.note}", markup=False, highlight=False, soft_wrap=True)
                return
            left = seconds_left(time.monotonic() - began, step.done, step.total)
            shown = "" if left is None else f"{int(left) // 60}:{int(left) % 60:02} left"
            bar.update(task, completed=step.done, total=step.total, left=shown)

        yield listen
