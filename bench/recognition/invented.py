"""Counts invented words: the output of each method for silence, noise, music, babble and reversed speech."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.machine import tell
from bench.manifest import Row
from bench.recognition import audio, sounds
from bench.recognition.audio import Floats
from bench.recognition.plan import Plan, Way, pair, ways_of
from bench.recognition.scores import attempt, tally
from bench.recognition.sounds import Item
from bench.scoring import tokens
from sottovoce.transcript.model import RATE

_SILENCE = 3.0
"""Minutes before the clip that must be found."""

_LONGEST = 200  # characters of a text in the report


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The output of one method for one item."""

    item: str
    group: str
    words: int
    text: str
    failure: str = ""


def measure(plan: Plan) -> dict[str, Any]:
    """Run both methods over all sounds, and over clips after a long silence. Raises `EngineUnavailable`."""
    rows = [row for row in plan.rows if row.language == plan.rows[0].language]
    clips = {row.name: audio.load(row.path) for row in rows}
    answers: dict[str, list[Answer]] = {}
    with pair(plan) as both:
        ways = ways_of(both)
        for item in sounds.items(clips, plan.options.seed):
            for name, way in ways.items():
                answers.setdefault(name, []).append(_answer(plan, item, rows[0].language, way))
            told = "  ".join(f"{name} {found[-1].words}" for name, found in answers.items())
            tell(f"{item.name:50} {told}  {_texts([found[-1] for found in answers.values()])}")
        late = _late(plan, max(rows, key=lambda row: len(row.reference)), clips, ways)
    result: dict[str, Any] = {"seed": plan.options.seed, "after_silence": late}
    for name, found in answers.items():
        result[name] = report(found)
    _table({name: report(found)["groups"] for name, found in answers.items()})
    return result


def _answer(plan: Plan, item: Item, language: str, way: Way) -> Answer:
    path = plan.work / "sound.wav"
    audio.write(path, [item.audio])
    try:
        run = way.transcribe(path, language)
    except way.faults as fault:
        return Answer(item=item.name, group=item.group, words=0, text="", failure=str(fault))
    return Answer(
        item=item.name, group=item.group, words=len(tokens(run.written, language)), text=run.written[:_LONGEST]
    )


def report(answers: Sequence[Answer]) -> dict[str, Any]:
    """Words of each group, and of each item that has any."""
    groups = dict.fromkeys(answer.group for answer in answers)
    return {
        "groups": {
            group: {
                "items": sum(answer.group == group for answer in answers),
                "items_with_words": sum(answer.group == group and answer.words > 0 for answer in answers),
                "words": sum(answer.words for answer in answers if answer.group == group),
            }
            for group in groups
        },
        "items": {answer.item: {"words": answer.words, "text": answer.text} for answer in answers if answer.words},
        "failed": {answer.item: answer.failure for answer in answers if answer.failure},
    }


def _late(plan: Plan, row: Row, clips: Mapping[str, Floats], ways: Mapping[str, Way]) -> dict[str, Any]:
    """The clip of *row* alone, after zeros and after faint noise."""
    chance = np.random.default_rng(plan.options.seed)
    clip = clips[row.name]
    heard = {
        "alone": clip,
        "after zeros": sounds.after_silence(clip, _SILENCE, None, chance),
        "after noise": sounds.after_silence(clip, _SILENCE, -60, chance),
    }
    found: dict[str, Any] = {"clip": row.name, "minutes": _SILENCE}
    for what, made in heard.items():
        path = plan.work / "late.wav"
        length = audio.write(path, [made])
        there = replace(row, path=path, seconds=length / RATE)
        found[what] = {
            name: tally(attempt(way.transcribe, there, way.faults).comparison.tally) for name, way in ways.items()
        }
        told = "  ".join(f"{name} {counts['wer']:.1%}" for name, counts in found[what].items())
        tell(f"{row.name} {what:20} {told}")
    return found


# ── tables ──


def _texts(answers: Sequence[Answer]) -> str:
    return " | ".join(answer.failure or answer.text[:60] for answer in answers if answer.failure or answer.text)


def _table(groups: Mapping[str, Mapping[str, Any]]) -> None:
    names = list(groups)
    tell(f"\n{'words':24}{'items':>6}" + "".join(f"{name:>12}" for name in names))
    for group, counts in groups[names[0]].items():
        words = "".join(f"{groups[name][group]['words']:12}" for name in names)
        tell(f"{group:24}{counts['items']:6}{words}")
