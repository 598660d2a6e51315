"""The audio streams of a container (tracks), and which of them is read.

The first of these decides: the track that the caller asks for; a track that can be decoded; one that has sound; the
container's default flag; the order in the container.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_TITLE = 40
"""Characters of a track's title that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """An audio stream of a container, as its header describes it. *number* counts the audio streams from 1.

    *codec*: its name, `unknown` without a decoder. *readable*: it can be decoded. *default*: the container's flag.
    """

    number: int
    codec: str
    rate: int
    channels: int
    readable: bool = True
    default: bool = False
    language: str | None = None
    title: str | None = None

    def __str__(self) -> str:
        """One line for a log."""
        parts = [self.codec, f"{self.rate} Hz, {self.channels} channel(s)" if self.readable else "cannot be decoded"]
        parts += [self.language] if self.language else []
        parts += [f'"{self.title}"'] if self.title else []
        parts += ["default"] if self.default else []
        return f"track {self.number}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The *number* of a track to read. A file without it is refused if it is *required*; else another track is read."""

    number: int
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The *track* that is read, *why*, and all *tracks* of the file."""

    track: Track
    why: str
    tracks: tuple[Track, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for the job's log; none for a file with one track, where there is no choice."""
        if len(self.tracks) == 1 and not self.why:
            return ()
        chosen = f"track {self.track.number} of {len(self.tracks)} is transcribed: {self.why}"
        return (*(str(track) for track in self.tracks), chosen)


def ranked(tracks: Sequence[Track]) -> list[Track]:
    """Return the tracks that can be decoded, in the order in which they are tried."""
    return sorted((track for track in tracks if track.readable), key=lambda track: (not track.default, track.number))


def asked(tracks: Sequence[Track], number: int | None) -> Track | None:
    """Return the track *number*, None if the file has no such track or it cannot be decoded."""
    return next((track for track in tracks if track.number == number and track.readable), None)


def reason(chosen: Track, tracks: Sequence[Track], silent: Sequence[int] = ()) -> str:
    """Return why *chosen* was taken, for a log. *silent*: numbers of the tracks before it that have no sound."""
    if len(tracks) == 1:
        return ""
    parts = []
    if silent:
        parts.append(f"{_listed(silent)} without sound")
    if unreadable := [track.number for track in tracks if not track.readable and track.number < chosen.number]:
        parts.append(f"{_listed(unreadable)} of an unknown format")
    parts.append(
        "the default of the container" if chosen.default else "the first that is left" if parts else "the first"
    )
    return ", ".join(parts)


def _listed(numbers: Sequence[int]) -> str:
    return f"track {', '.join(map(str, numbers))} is"
