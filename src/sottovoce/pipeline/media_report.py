"""What is told of the media in the job's log: its tracks, what was wrong with it, and why nothing was heard.

A transcript without words must be explained: how loud the channels are, how much of them is speech, and what became of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sottovoce.audio import media
from sottovoce.audio.activity import Speech
from sottovoce.audio.tracks import Wanted
from sottovoce.pipeline.windows import Observer
from sottovoce.transcript.model import RATE, Samples


def opened(path: Path, wanted: Wanted | None, limit: Samples | None, observer: Observer) -> media.Probe:
    """Choose the track of *path*, report it and the other tracks to *observer*, and return its properties.

    Raises `MediaUnreadable`.
    """
    choice = media.choose(path, wanted, limit=limit, alive=lambda: observer.progress(0, None))
    probe = media.probe(path, choice.track.number)
    observer.media(probe)
    for note in choice.notes:
        observer.stage("media", note)
    return probe


@dataclass(slots=True, kw_only=True)
class Activity:
    """The speech that was found in one pass over the media: *stretches* and their voiced *samples*."""

    stretches: int = 0
    samples: Samples = 0

    def counted(self, speech: Iterable[Speech]) -> Iterator[Speech]:
        """Yield *speech*, counting it."""
        for stretch in speech:
            self.stretches += 1
            self.samples += sum(run.end - run.start for run in stretch.voiced) if stretch.voiced else len(stretch.audio)
            yield stretch


def tell(decoder: media.Decoder, observer: Observer, told: set[str]) -> None:
    """Report what was found in the media of *decoder* after it was read, except for what is already *told*."""
    for note in decoder.notes:
        if note not in told:
            told.add(note)
            observer.stage("media", note)


def nothing_heard(decoder: media.Decoder, found: Activity, where: str = "") -> tuple[str, ...]:
    """Return lines that explain a pass without words. *where*: the channel, for example `channel 2: `."""
    heard, whole = found.samples / RATE, decoder.decoded / RATE
    said = (
        f"the engine returned no words for {found.stretches} stretch(es) of it"
        if found.stretches
        else "the engine was given nothing"
    )
    return (
        f"{where}no words: {heard:.1f} s of speech activity in {whole:.1f} s of audio; {said}",
        f"{where}{decoder.levels}",
    )
