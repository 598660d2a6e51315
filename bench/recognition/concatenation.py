"""Builds one long recording of short ones, with known words at known places, and finds the lost words."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench import scoring
from bench.manifest import Row
from bench.recognition import audio
from bench.recognition.audio import Floats
from bench.recognition.scores import Token
from sottovoce.transcript.model import RATE, Samples

LONGEST_PAUSE: Samples = 5 * RATE
NOISE = -70.0
"""Level of the noise in every other pause, dBFS; the others are exact zeros."""

RUN = 3
"""Least number of consecutive missing words of the reference that count as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A clip in the long recording: it begins at *start*, and a *pause* with noise or zeros follows it."""

    row: Row
    start: Samples
    length: Samples
    pause: Samples
    noisy: bool


def layout(rows: Sequence[Row], lengths: Mapping[str, Samples], minutes: float, seed: int) -> list[Placed]:
    """Clips for at least *minutes*: all *rows* in a random order, then again in another, until the length is reached."""
    chance = random.Random(seed)
    wanted = round(minutes * 60 * RATE)
    placed: list[Placed] = []
    at: Samples = 0
    while at < wanted:
        for row in chance.sample(rows, len(rows)):
            pause = round(chance.uniform(0, LONGEST_PAUSE))
            noisy = chance.random() < 0.5
            placed.append(Placed(row=row, start=at, length=lengths[row.name], pause=pause, noisy=noisy))
            at += lengths[row.name] + pause
            if at >= wanted:
                break
    return placed


def pieces(placed: Sequence[Placed], clips: Mapping[str, Floats], seed: int) -> Iterator[Floats]:
    """The audio of *placed*, clip after pause after clip."""
    noise = np.random.default_rng(seed)
    for each in placed:
        yield clips[each.row.name]
        if each.noisy:
            yield (noise.standard_normal(each.pause) * audio.level(NOISE)).astype(np.float32)
        else:
            yield np.zeros(each.pause, dtype=np.float32)


def reference(placed: Sequence[Placed]) -> tuple[str, ...]:
    """The reference of the whole recording, as tokens."""
    return tuple(token for each in placed for token in each.row.reference)


def weighted(placed: Sequence[Placed], alone: Mapping[str, scoring.Tally]) -> scoring.Tally:
    """The sum of the errors of the single clips, each counted once per occurrence."""
    return scoring.total(alone[each.row.name] for each in placed)


def known_starts(placed: Sequence[Placed], known: Mapping[str, Sequence[Token]]) -> list[Token]:
    """Known starts of words, shifted to the place of each clip; words of clips without known times have none."""
    found: list[Token] = []
    for each in placed:
        if each.row.name in known:
            offset = each.start / RATE
            found += [
                Token(text=token.text, start=None if token.start is None else token.start + offset)
                for token in known[each.row.name]
            ]
        else:
            found += [Token(text=token) for token in each.row.reference]
    return found


def lost_runs(placed: Sequence[Placed], missing: Sequence[tuple[int, int]], least: int = RUN) -> list[dict[str, Any]]:
    """Runs of at least *least* words of the reference without a counterpart: the clips, their starts, the words."""
    owners = [each for each in placed for _ in each.row.reference]
    words = reference(placed)
    found = []
    for start, end in missing:
        if end - start >= least:
            clips = list(dict.fromkeys(owners[start:end]))
            found.append(
                {
                    "words": end - start,
                    "at_s": clips[0].start / RATE,
                    "clips": [clip.row.name for clip in clips],
                    "whole_clips": sum(_inside(clip, owners, start, end) for clip in clips),
                    "text": " ".join(words[start:end]),
                }
            )
    return found


def _inside(clip: Placed, owners: Sequence[Placed], start: int, end: int) -> bool:
    """True if all words of *clip* are among those from *start* to *end*."""
    return sum(owner is clip for owner in owners[start:end]) == len(clip.row.reference)
