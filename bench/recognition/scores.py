"""Compares a run with its reference, and sums over files."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import bare, reliability, scoring
from bench.manifest import Row
from bench.reliability import Judged
from sottovoce.transcript.languages import pack

TOLERANCE = 0.005
"""Word error rate by which the service may be worse than the direct call, absolute: half a word in a hundred."""

_DRAWS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One comparable word. *start* in seconds: only the first token of a written word has one."""

    text: str
    confidence: float | None = None
    start: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The score of one file with one method. *failure*: the reason of a failed run, whose words all count as missing."""

    row: Row
    comparison: scoring.Comparison
    tokens: tuple[Token, ...]
    run: bare.Run
    failure: str = ""

    @property
    def words(self) -> list[Judged]:
        """The recognised words that have a confidence."""
        return [
            Judged(confidence=token.confidence, right=right)
            for token, right in zip(self.tokens, self.comparison.right, strict=True)
            if token.confidence is not None
        ]

    @property
    def unsure(self) -> int:
        """The number of recognised words without a confidence."""
        return sum(token.confidence is None for token in self.tokens)


def tokens(words: Sequence[bare.Spoken], language: str) -> list[Token]:
    """*words* normalised; each token of a word has the word's confidence."""
    found: list[Token] = []
    before = -1
    for text, number in scoring.placed([word.text for word in words], language):
        start = words[number].start if number != before else None
        found.append(Token(text=text, confidence=words[number].confidence, start=start))
        before = number
    return found


def score(row: Row, run: bare.Run, failure: str = "") -> Score:
    """*run* compared with the reference of *row*."""
    heard = tokens(run.words, row.language)
    compared = scoring.compare(row.reference, [token.text for token in heard])
    return Score(row=row, comparison=compared, tokens=tuple(heard), run=run, failure=failure)


Transcribe = Callable[[Path, str], bare.Run]
"""Maps a file and its language to the recognised words."""


def attempt(transcribe: Transcribe, row: Row, faults: tuple[type[Exception], ...]) -> Score:
    """The score of *row*; one of *faults* counts as an empty result."""
    try:
        return score(row, transcribe(row.path, row.language))
    except faults as fault:
        why = str(fault).strip().splitlines()[-1:] or [type(fault).__name__]
        return score(row, bare.Run(words=(), cpu=0.0, wall=0.0, peak=0), why[0])


# ── sums ──


def tally(counts: scoring.Tally) -> dict[str, Any]:
    """*counts* for the report."""
    return {
        "words": counts.words,
        "wer": counts.wer,
        "substitutions": counts.substitutions,
        "deletions": counts.deletions,
        "insertions": counts.insertions,
    }


def report(scores: Sequence[Score]) -> dict[str, Any]:
    """Errors in all, by language, by set and by file; confidence; speed; memory."""
    seconds = sum(each.row.seconds for each in scores)
    return {
        "total": tally(scoring.total(each.comparison.tally for each in scores)),
        "languages": _grouped(scores, lambda row: row.language),
        "sets": _grouped(scores, lambda row: row.source),
        "files": {each.row.name: tally(each.comparison.tally) for each in scores},
        "failed": {each.row.name: each.failure for each in scores if each.failure},
        "confidence": {
            **reliability.summary([word for each in scores for word in each.words]),
            "words_without": sum(each.unsure for each in scores),
        },
        "audio_s": seconds,
        "cpu_per_audio_s": sum(each.run.cpu for each in scores) / seconds,
        "wall_per_audio_s": sum(each.run.wall for each in scores) / seconds,
        "peak_mb": max(each.run.peak for each in scores) / 1e6,
    }


def _grouped(scores: Iterable[Score], key: Callable[[Row], str]) -> dict[str, Any]:
    held: dict[str, list[Score]] = defaultdict(list)
    for each in scores:
        held[key(each.row)].append(each)
    return {
        name: {
            "files": len(group),
            "unit": " and ".join(sorted({unit(each.row.language) for each in group})),
            **tally(scoring.total(each.comparison.tally for each in group)),
        }
        for name, group in held.items()
    }


def unit(language: str) -> str:
    """The unit of errors: words or characters."""
    return "words" if pack(language).delimiter else "characters"


def verdict(ours: Sequence[scoring.Tally], theirs: Sequence[scoring.Tally], tolerance: float) -> dict[str, Any]:
    """Compare the service with the direct call on the same files, given in the same order.

    The service is worse when the difference of word error rates is above *tolerance* and significant: 95 % of the differences
    of bootstrap samples of the files must be above zero. Half a bit of noise in the samples alone moves PocketSphinx by a
    point on ten minutes of speech (docs/accuracy.md).
    """
    chance = random.Random(0)  # the same files get the same verdict
    files = range(len(ours))
    drawn = sorted(_difference(ours, theirs, chance.choices(files, k=len(ours))) for _ in range(_DRAWS))
    low, high = drawn[_DRAWS // 20], drawn[-1 - _DRAWS // 20]
    difference = _difference(ours, theirs, files)
    return {
        "service_wer": scoring.total(ours).wer,
        "baseline_wer": scoring.total(theirs).wer,
        "difference": difference,
        "interval_90": (low, high),
        "tolerance": tolerance,
        "worse": difference > tolerance and low > min(0.0, tolerance),
    }


def _difference(ours: Sequence[scoring.Tally], theirs: Sequence[scoring.Tally], files: Sequence[int]) -> float:
    """Word error rate of *ours* less that of *theirs*, over *files* by number."""
    words = sum(ours[number].words for number in files)
    return sum(ours[number].errors - theirs[number].errors for number in files) / words
