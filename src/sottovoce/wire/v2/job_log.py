"""A job's log as text, in the layout that the contract shows (§5.6): `2021-01-23 17:58:55,559 INFO    stage text`."""

from collections.abc import Iterable
from dataclasses import dataclass

from sottovoce.wire import timestamps


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: *at* epoch ms, *attempt* 0 before any worker had the job."""

    at: int
    level: str
    stage: str
    attempt: int
    text: str


def render(lines: Iterable[Line]) -> str:
    """All lines, each ended by a newline; no line of ours can be forged by a text with newlines."""
    return "".join(_rendered(line) for line in lines)


def _rendered(line: Line) -> str:
    day, _, time = timestamps.milliseconds(line.at).rstrip("Z").partition("T")
    attempt = f" [attempt {line.attempt}]" if line.attempt else ""
    text = " ".join(line.text.split())
    return f"{day} {time.replace('.', ',')} {line.level:<7} sottovoce.{line.stage}{attempt} {text}\n"
