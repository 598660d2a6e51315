"""Measures long recordings: words lost compared with single clips, time, and growth of memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import scoring
from bench.machine import tell
from bench.manifest import Row
from bench.recognition import audio, concatenation, times
from bench.recognition.audio import Floats
from bench.recognition.concatenation import Placed
from bench.recognition.memory import Track
from bench.recognition.plan import Plan, Way, pair, ways_of
from bench.recognition.scores import Score, attempt, tally
from sottovoce.transcript.model import RATE

_TOLD = 12  # runs of lost words that the table shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The clips, as files in *rows* and as samples; the methods, and the errors of each method in each clip *alone*."""

    rows: Sequence[Row]
    clips: Mapping[str, Floats]
    ways: Mapping[str, Way]
    alone: Mapping[str, Mapping[str, scoring.Tally]]


def measure(plan: Plan) -> dict[str, Any]:
    """Run both methods on a recording of each requested length, and on the clips that it is made of.

    Raises `EngineUnavailable`.
    """
    rows = [row for row in plan.rows if row.language == plan.rows[0].language]
    clips = {row.name: audio.load(row.path) for row in rows}
    alone_rows = [_written(row, clips[row.name], plan.work) for row in rows]
    with pair(plan) as both:
        ways = ways_of(both)
        alone = {name: _alone(name, alone_rows, way) for name, way in ways.items()}
        material = Material(rows=alone_rows, clips=clips, ways=ways, alone=alone)
        lengths = {f"{minutes:g}": _long(plan, minutes, material) for minutes in plan.options.long}
    return {
        "seed": plan.options.seed,
        "clips": {name: tally(scoring.total(found.values())) for name, found in alone.items()},
        "minutes": lengths,
    }


def _written(row: Row, clip: Floats, work: Path) -> Row:
    """*row* with the samples that the long recording holds."""
    path = work / ("clip-" + row.name.replace("/", "-") + ".wav")
    length = audio.write(path, [clip])
    return replace(row, path=path, seconds=length / RATE)


def _alone(name: str, rows: Sequence[Row], way: Way) -> dict[str, scoring.Tally]:
    """The errors of each clip by itself."""
    tell(f"{name}: {len(rows)} clips one by one")
    scores = [attempt(way.transcribe, row, way.faults) for row in rows]
    _tell_failures(scores)
    return {score.row.name: score.comparison.tally for score in scores}


def _tell_failures(scores: Sequence[Score]) -> None:
    for score in scores:
        if score.failure:
            tell(f"FAILED: {score.row.name}: {score.failure}")


def _long(plan: Plan, minutes: float, material: Material) -> dict[str, Any]:
    rows, clips = material.rows, material.clips
    seed = plan.options.seed
    placed = concatenation.layout(rows, {name: len(clip) for name, clip in clips.items()}, minutes, seed)
    path = plan.work / f"long-{minutes:g}min-seed{seed}.wav"
    seconds = audio.write(path, concatenation.pieces(placed, clips, seed)) / RATE
    words = concatenation.reference(placed)
    row = Row(name=path.name, path=path, seconds=seconds, language=rows[0].language, reference=words)
    tell(f"\n{path.name}: {seconds:.0f} s, {len(placed)} clips, {len(words)} words")
    result: dict[str, Any] = {"seconds": seconds, "clips": len(placed), "words": len(words)}
    for name, way in material.ways.items():
        result[name] = _measured(row, way, placed, plan.known) | {
            "clips_one_by_one": tally(concatenation.weighted(placed, material.alone[name]))
        }
        _table(name, result[name])
    return result


def _measured(row: Row, way: Way, placed: Sequence[Placed], known: times.Times) -> dict[str, Any]:
    with Track(way.pid) as track:
        score = attempt(way.transcribe, row, way.faults)
    _tell_failures([score])
    runs = concatenation.lost_runs(placed, score.comparison.missing)
    return {
        **tally(score.comparison.tally),
        **({"failed": score.failure} if score.failure else {}),
        "wall_s": score.run.wall,
        "cpu_s": score.run.cpu,
        "cpu_per_audio_s": score.run.cpu / row.seconds,
        "memory": track.report(),
        "word_starts": times.summary(times.errors(concatenation.known_starts(placed, known), score.tokens)),
        "lost_words": sum(run["words"] for run in runs),
        "lost_runs": runs,
    }


# ── tables ──


def _table(name: str, found: Mapping[str, Any]) -> None:
    for what, counts in ((f"{name}, one file", found), (f"{name}, clip by clip", found["clips_one_by_one"])):
        kinds = "  ".join(f"{kind[0].upper()} {counts[kind]}" for kind in ("substitutions", "deletions", "insertions"))
        tell(f"{what:24}{counts['wer']:8.2%}   {kinds}")
    memory = "  ".join(f"{at} {size:.0f}" for at, size in found["memory"]["at"].items())
    tell(f"  {found['wall_s']:.1f} s, {found['cpu_s']:.1f} s of processor; MB at {memory}")
    tell(f"  {found['lost_words']} words lost in {len(found['lost_runs'])} runs")
    for run in found["lost_runs"][:_TOLD]:
        tell(f"  {run['at_s']:8.1f} s  {run['words']:3} words  {', '.join(run['clips'])}: {run['text'][:90]}")
