"""`doctor FILE`: what media a file is, and what would be heard of it; for files whose transcript is empty or short."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import click

from sottovoce.cli.local.engine_session import friendly_errors
from sottovoce.transcript.model import RATE


@dataclass(slots=True, kw_only=True)
class _Notes:
    """An observer that keeps the lines that a job's log would have."""

    lines: list[str] = field(default_factory=list)

    def media(self, probe: object) -> None:
        """Ignore the properties, which the caller has."""

    def stage(self, name: str, note: str = "", trace: str = "") -> None:  # noqa: ARG002
        """Keep *note*."""
        self.lines.append(note)

    def progress(self, done: int, total: int | None) -> None:
        """Ignore the progress."""

    def stretch(self, stretch: object, language: str) -> None:
        """Ignore the words of a stretch."""

    def window(self, window: object) -> None:
        """Ignore windows: nothing is recognised."""


def examine(files: tuple[Path, ...], *, track: int | None, limit: int | None, as_json: bool) -> None:
    """Print a report on each of *files*, and exit with 1 if one has no speech or cannot be read."""
    reports = []
    for path in files:
        reports.append(_report(path, track, limit))
        if not as_json:
            _show(reports[-1])
    if as_json:
        click.echo(json.dumps({"files": reports}))
    sys.exit(0 if all(report.get("speech_seconds") for report in reports) else 1)


def _report(path: Path, track: int | None, limit: int | None) -> dict[str, object]:
    """Return the report on *path*: its properties, or `error`, why it cannot be read."""
    try:
        with friendly_errors():
            return _examined(path, track, limit)
    except click.ClickException as error:
        return {"file": path.name, "error": error.message}


def _examined(path: Path, track: int | None, limit: int | None) -> dict[str, object]:
    """Return the properties of *path* after it was decoded and searched for speech, in seconds and dBFS."""
    from sottovoce.audio.activity import ActivityPolicy, segments
    from sottovoce.audio.media import decode
    from sottovoce.audio.tracks import Wanted
    from sottovoce.engines.common.silero_vad import SileroVad
    from sottovoce.pipeline import media_report

    notes = _Notes()
    probe = media_report.opened(path, Wanted(number=track) if track else None, limit, notes)
    decoder = decode(path, limit=limit, track=probe.track)
    found = media_report.Activity()
    first = None
    for stretch in found.counted(segments((block[0] for block in decoder), SileroVad(), ActivityPolicy())):
        first = stretch.start if first is None else first
    media_report.tell(decoder, notes, set())
    return {
        "file": path.name,
        "container": probe.container,
        "codec": probe.codec,
        "rate": probe.rate,
        "channels": probe.channels,
        "track": probe.track,
        "declared_seconds": None if probe.duration is None else round(probe.duration / RATE, 2),
        "seconds": round(decoder.decoded / RATE, 2),
        "levels": [round(level) for level in decoder.levels.channels],
        "peaks": [round(level) for level in decoder.levels.peaks],
        "mix": None if decoder.levels.mix is None else round(decoder.levels.mix),
        "speech_seconds": round(found.samples / RATE, 2),
        "speech_begins": None if first is None else round(first / RATE, 2),
        "stretches": found.stretches,
        "notes": notes.lines,
        "levels_text": str(decoder.levels),
    }


def _show(report: dict[str, object]) -> None:
    click.echo(str(report["file"]))
    if "error" in report:
        click.echo(f"  error     {report['error']}")
        return
    declared = report["declared_seconds"]
    length = "an unknown length" if declared is None else f"{declared} s"
    click.echo(
        f"  media     {report['container']}, {report['codec']}, {report['rate']} Hz, {report['channels']} channel(s); "
        f"the header says {length}, decoded {report['seconds']} s"
    )
    click.echo(f"  levels    {str(report['levels_text']).removeprefix('levels ')}")
    speech = f"{report['speech_seconds']} s in {report['stretches']} stretch(es)"
    begins = f", from {report['speech_begins']} s on" if report["speech_begins"] is not None else ""
    click.echo(
        f"  speech    {speech}{begins}" if report["stretches"] else "  speech    none: the transcript would be empty"
    )
    notes = report["notes"]
    for note in notes if isinstance(notes, list) else ():
        click.echo(f"  note      {note}")
