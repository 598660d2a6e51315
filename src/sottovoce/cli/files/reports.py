"""What `transcribe` tells while it works: a bar on a terminal, lines for people, or JSON lines for programs."""

import json
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

Listener = Callable[["Step"], None]


LATE = 0.25
"""Share of the time by the speed up to now below which an estimate does not fall: progress comes in bursts, and may be late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """News of a file: *done* of *total* (samples; `None`: unknown), a *note* on it, or *begun*: its recognition begins."""

    done: int = 0
    total: int | None = None
    note: str = ""
    begun: bool = False


class Pace:
    """The time that is left of a file, at the speed of the second half of the time since its recognition began.

    Before the beginning, models are loaded and media decoded. Where it is not told, the first progress stands for it. All times
    are seconds of one clock.
    """

    def __init__(self, began: float) -> None:
        self._steps = [(began, 0)]
        self._told = False
        self._total: int | None = None

    def begin(self, now: float) -> None:
        """The recognition begins."""
        self._steps, self._told = [(now, 0)], True

    def update(self, now: float, done: int, total: int | None) -> None:
        """*done* samples of *total* (`None`: unknown) are recognised."""
        self._total = total
        if done > self._steps[-1][1]:
            if not self._told and self._steps[-1][1]:
                self._steps, self._told = self._steps[-1:], True
            self._steps.append((now, done))

    def left(self, now: float) -> float | None:
        """Seconds until everything is recognised; `None` if that is unknown."""
        at, done = self._steps[-1]
        if not self._total or done <= 0:
            return None
        half = (self._steps[0][0] + at) / 2
        since, before = self._steps[max(0, bisect_right(self._steps, (half, sys.maxsize)) - 1)]
        if done >= self._total or at <= since:
            return 0.0
        seconds = (self._total - done) / (done - before)  # for each second since then
        return max(seconds * (at - since) - (now - at), LATE * seconds * (now - since))

    def shown(self, now: float) -> str:
        """The time that is left, in words."""
        left = self.left(now)
        if left is None:
            return "recognising" if self._told else "starting"
        if self._total is not None and self._steps[-1][1] >= self._total:
            return "finishing"  # speakers, marks, a translation: they report no progress
        return f"{round(left) // 60}:{round(left) % 60:02} left"


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
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    pace = Pace(time.monotonic())

    class Left(ProgressColumn):
        def render(self, task: Task) -> Text:  # noqa: ARG002 - counts down between two steps
            return Text(pace.shown(time.monotonic()))

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), Left())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(escape(label), total=None)

        def listen(step: Step) -> None:
            if step.note:
                console.print(f"{name}: {step.note}", markup=False, highlight=False, soft_wrap=True)
                return
            if step.begun:
                pace.begin(time.monotonic())
                return
            pace.update(time.monotonic(), step.done, step.total)
            bar.update(task, completed=step.done, total=step.total)

        yield listen
