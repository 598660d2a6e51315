"""`align`: aligns a text with a recording, without a server."""

from pathlib import Path

import click

from sottovoce.cli.common import data_dir, settings_of
from sottovoce.cli.local.engine_session import friendly_errors, local_pool, progress


@click.command()
@click.argument("audio", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("text", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--tags",
    type=click.Choice(["word_start_and_end", "one_per_line", "json", "srt"]),
    default="word_start_and_end",
    show_default=True,
    help="Output format; json and srt (one cue per line) exist in this command only.",
)
@click.option("--language", default="en", show_default=True, help="Language code of the text.")
@click.option(
    "--track", type=click.IntRange(min=1), help="Audio track of AUDIO, counted from 1 (SOTTOVOCE_AUDIO_TRACK)."
)
@data_dir
def align(audio: Path, text: Path, *, tags: str, language: str, track: int | None, **flags: object) -> None:
    """Print TEXT (plain UTF-8, markup in angle brackets) with the times at which its words are spoken in AUDIO."""
    from sottovoce.audio.tracks import Wanted
    from sottovoce.engines import registry
    from sottovoce.inference import messages as m
    from sottovoce.inference.pool import Task
    from sottovoce.service.jobs import alignment_text
    from sottovoce.transcript import alignment
    from sottovoce.wire.formats import alignment as wire

    settings = settings_of(**flags)
    with friendly_errors():
        written = alignment_text.checked(text.read_bytes())
        with local_pool(settings, lambda offers: registry.choose_aligner(language, offers)) as (pool, key, _):
            wanted = Wanted(number=track, required=True) if track else None
            message = m.Align(path=str(audio.resolve()), language=language, track=wanted)
            with progress(audio.name) as listen:
                outcome = pool.run_blocking(key, Task(message=message, payload=written.encode()), listen)
        found = alignment.decode(outcome.payload)
        render = {**wire.TAGS, "json": wire.as_json, "srt": wire.as_srt}[tags]
        shown = render(written, found)
        click.echo(shown, nl=not shown.endswith("\n"))
        missing = sum(word.bridged for word in found.words)
        if missing:
            click.echo(f"{missing} of {len(found.words)} words were not found; their times are guesses", err=True)
