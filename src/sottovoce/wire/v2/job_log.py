"""The log of a job as text, in the layout of the contract (§5.6): `2021-01-23 17:58:55,559 INFO    stage text`."""

from collections.abc import Iterable
from dataclasses import dataclass

from sottovoce.wire import timestamps


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the log. *at* in epoch ms; *attempt* is 0 before the first worker claims the job."""

    at: int
    level: str
    stage: str
    attempt: int
    text: str


def render(lines: Iterable[Line]) -> str:
    """The text of *lines*, each with a final newline. Newlines inside a text become blanks, so it cannot forge a line."""
    return "".join(_rendered(line) for line in lines)


def _rendered(line: Line) -> str:
    day, _, time = timestamps.milliseconds(line.at).rstrip("Z").partition("T")
    attempt = f" [attempt {line.attempt}]" if line.attempt else ""
    text = " ".join(line.text.split())
    return f"{day} {time.replace('.', ',')} {line.level:<7} sottovoce.{line.stage}{attempt} {text}\n"
