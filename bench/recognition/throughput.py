"""Measures audio seconds per second of wall time: the pool with its slots beside the same number of direct processes."""

import contextlib
import os
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import tell
from bench.recognition import audio, concatenation, fleets
from bench.recognition.audio import Floats
from bench.recognition.fleets import Fleet, Lap, Processes, Slots
from bench.recognition.plan import Plan
from sottovoce.transcript.model import RATE, Samples

MOST_SLOTS = 4
"""The service's default number of slots (`web/app.py`)."""

FILES = ((28.0, 6), (3.0, 8))
"""Seconds of a file, and the number of such files for each slot."""

_PAUSE: Samples = RATE // 3
_WARM = 5.0  # s


def measure(plan: Plan) -> dict[str, Any]:
    """Measure many files side by side, one long file, and the memory of a process. Raises `EngineUnavailable`, Wrong."""
    cores = len(os.sched_getaffinity(0))
    slots = plan.options.slots or max(1, min(MOST_SLOTS, cores))
    plan = replace(plan, engine_config=replace(plan.engine_config, threads=max(1, cores // slots), workers=slots))
    clips = [audio.load(row.path) for row in plan.rows]
    stream = _stream(clips, plan.options.seed)
    prestart = _cut(stream, _WARM, slots, plan.work / "warm")
    batches = {
        f"{seconds:g} s": (seconds, _cut(stream, seconds, count * slots, plan.work / f"file-{seconds:g}s"))
        for seconds, count in FILES
    }
    result: dict[str, Any] = {"slots": slots, "threads": plan.engine_config.threads}
    with _fleets(plan, slots, prestart) as side_by_side:
        for name, (seconds, paths) in batches.items():
            result[name] = _batch(plan, side_by_side, paths, seconds * len(paths))
            _table(name, result[name])
        result["memory"] = {name: fleets.memory(fleet) for name, fleet in side_by_side.items()}
    tell(f"memory: {result['memory']}")
    if plan.options.lone_minutes:
        result["lone"] = _lone(plan, slots, cores, prestart)
        _table(f"one file of {plan.options.lone_minutes:g} minutes", result["lone"])
    return result


# ── the material ──


def _stream(clips: Sequence[Floats], seed: int) -> Iterator[Floats]:
    """An endless stream of clips in random order, a third of a second between them."""
    chance = random.Random(seed)
    pause = np.zeros(_PAUSE, dtype=np.float32)
    while True:
        for number in chance.sample(range(len(clips)), len(clips)):
            yield clips[number]
            yield pause


def _cut(stream: Iterator[Floats], seconds: float, count: int, name: Path) -> list[Path]:
    """Write the next *count* pieces of *stream*, each of *seconds*, beside *name*; return their paths."""
    length = round(seconds * RATE)
    paths = []
    for number in range(count):
        piece = np.zeros(0, dtype=np.float32)
        while len(piece) < length:
            piece = np.concatenate([piece, next(stream)])
        path = name.with_name(f"{name.name}-{number}.wav")
        audio.write(path, [piece[:length]])
        paths.append(path)
    return paths


# ── side by side ──


@contextlib.contextmanager
def _fleets(plan: Plan, slots: int, prestart: Sequence[Path]) -> Iterator[dict[str, Fleet]]:
    """The pool and the processes, both loaded and warm."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Fleet] = {}
        found["service"] = stack.enter_context(contextlib.closing(Slots(plan.choice, plan.engine_config, slots)))
        if plan.method != "none":
            found["baseline"] = stack.enter_context(contextlib.closing(Processes(plan.wanted(), slots)))
        for fleet in found.values():
            fleet.run(prestart, _language(plan))
        yield found


def _language(plan: Plan) -> str:
    return plan.rows[0].language


def _batch(plan: Plan, running: Mapping[str, Fleet], paths: Sequence[Path], seconds: float) -> dict[str, Any]:
    """Run *paths* through every fleet in turn, several rounds, so that the machine's load affects each alike."""
    laps: dict[str, list[Lap]] = {name: [] for name in running}
    for _ in range(plan.options.rounds):
        for name, fleet in running.items():
            laps[name].append(fleets.lap(fleet, paths, _language(plan)))
    return {"files": len(paths), "audio_s": seconds, **compared(laps, seconds)}


def compared(laps: Mapping[str, Sequence[Lap]], seconds: float) -> dict[str, Any]:
    """Throughput of each method by its median lap; *ratio*: the service's divided by the direct call's."""
    result: dict[str, Any] = {}
    for name, found in laps.items():
        wall = statistics.median(each.wall for each in found)
        result[name] = {
            "wall_s": [each.wall for each in found],
            "cpu_s": statistics.median(each.cpu for each in found),
            "audio_per_wall_s": seconds / wall,
        }
    if "baseline" in result:
        result["ratio"] = result["service"]["audio_per_wall_s"] / result["baseline"]["audio_per_wall_s"]
    return result


# ── one long file ──


def _lone(plan: Plan, slots: int, cores: int, prestart: Sequence[Path]) -> dict[str, Any]:
    """Measure one file alone: with all slots, with one slot, and in one process of the direct call with all cores."""
    clips = {row.name: audio.load(row.path) for row in plan.rows}
    lengths = {name: len(clip) for name, clip in clips.items()}
    placed = concatenation.layout(plan.rows, lengths, plan.options.lone_minutes, plan.options.seed)
    path = plan.work / "lone.wav"
    seconds = audio.write(path, concatenation.pieces(placed, clips, plan.options.seed)) / RATE
    laps = {"service": [_once(plan, Slots(plan.choice, plan.engine_config, slots), path, prestart)]}
    if slots > 1:
        laps["service_one_slot"] = [_once(plan, Slots(plan.choice, plan.engine_config, 1), path, prestart)]
    if plan.method != "none":
        all_cores = plan.wanted(replace(plan.engine_config, threads=cores))
        laps["baseline"] = [_once(plan, Processes(all_cores, 1), path, prestart)]
    found = compared(laps, seconds)
    if slots > 1:
        found["all_slots_over_one"] = (
            found["service"]["audio_per_wall_s"] / (found["service_one_slot"]["audio_per_wall_s"])
        )
    return {"audio_s": seconds, **found}


def _once(plan: Plan, fleet: Fleet, path: Path, prestart: Sequence[Path]) -> Lap:
    """Run *path* through a *fleet* of its own, then end the fleet."""
    with contextlib.closing(fleet):
        fleet.run(prestart, _language(plan))
        return fleets.lap(fleet, [path], _language(plan))


# ── tables ──


def _table(name: str, found: Mapping[str, Any]) -> None:
    tell(f"\n{name}: {found['audio_s']:.0f} s of audio")
    for way, told in found.items():
        if isinstance(told, dict):
            walls = ", ".join(f"{wall:.1f}" for wall in told["wall_s"])
            tell(f"  {way:20}{told['audio_per_wall_s']:8.1f} s/s   {walls} s   {told['cpu_s']:.1f} s of processor")
    for ratio in ("ratio", "all_slots_over_one"):
        if ratio in found:
            tell(f"  {ratio:20}{found[ratio]:8.2f}")
