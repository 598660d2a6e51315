"""Fits an engine's confidence to the share of right words."""

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import bare, reliability, scoring
from bench.manifest import Row, Wrong, fits
from bench.recognition.service import Service
from bench.reliability import Judged
from sottovoce.engines import registry
from sottovoce.engines.common import calibration
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.models.store import ModelStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """One recognised word of a fit: its evidence, and whether it is right."""

    row: Row
    evidence: tuple[float, ...]
    right: bool


Mapping = Callable[[Sequence[float]], float]


def _logistic(clues: Sequence[Clue]) -> reliability.Logistic:
    return reliability.logistic([clue.evidence for clue in clues], [clue.right for clue in clues])


def _line(clues: Sequence[Clue]) -> calibration.Calibration:
    words = [Judged(confidence=clue.evidence[0], right=clue.right) for clue in clues]
    return calibration.Calibration(reliability.line(words))


def _judged(mapping: Mapping, clues: Sequence[Clue]) -> list[Judged]:
    return [Judged(confidence=mapping(clue.evidence), right=clue.right) for clue in clues]


Fit = Callable[[Sequence[Clue]], Mapping]


def fitted(clues: Sequence[Clue], fit: Fit, inside: Callable[[Row], bool]) -> dict[str, Any]:
    """A mapping fitted on the clues *inside*, measured on those and on the rest; the same the other way round; and each set
    measured with a mapping from all other sets. An entry with too few words for a fit is None.

    Errors: ValueError if those *inside* are too few.
    """
    one, other = ([clue for clue in clues if inside(clue.row) is which] for which in (True, False))
    mapping = fit(one)
    return {
        "on_fitted": reliability.summary(_judged(mapping, one)),
        "on_held_out": reliability.summary(_judged(mapping, other)),
        "swapped": reliability.summary(swapped) if (swapped := _across(other, one, fit)) else None,
        "each_set_left_out": reliability.summary(left_out) if (left_out := _left_out(clues, fit)) else None,
    }


def _left_out(clues: Sequence[Clue], fit: Fit) -> list[Judged]:
    found: list[Judged] = []
    for name in dict.fromkeys(clue.row.source for clue in clues):
        rest, own = ([clue for clue in clues if (clue.row.source == name) is which] for which in (False, True))
        found += _across(rest, own, fit)
    return found


def _across(some: Sequence[Clue], others: Sequence[Clue], fit: Fit) -> list[Judged]:
    """*others* measured with a mapping fitted on *some*; empty if the fit is not possible."""
    try:
        return _judged(fit(some), others)
    except ValueError:
        return []


def _clues(rows: Sequence[Row], choice: registry.Choice, engine_config: EngineConfig) -> list[Clue]:
    """The evidence of every word that is recognised in *rows*."""
    if choice.engine == "pocketsphinx":
        heard = bare.evidence([row.path for row in rows])
    else:
        with contextlib.closing(Service(choice, engine_config)) as service:
            runs = [service.transcribe(row.path, row.language) for row in rows]
        heard = [[(word.text, (word.confidence,)) for word in run.words if word.confidence is not None] for run in runs]
    clues = []
    for row, words in zip(rows, heard, strict=True):
        spoken = [(token, known) for text, known in words for token in scoring.tokens(text, row.language)]
        right = scoring.compare(row.reference, [token for token, _ in spoken]).right
        clues += [Clue(row=row, evidence=known, right=yes) for (_, known), yes in zip(spoken, right, strict=True)]
    return clues


def calibrate(
    rows: Sequence[Row], choice: registry.Choice, engine_config: EngineConfig, patterns: Sequence[str], out: Path
) -> dict[str, Any]:
    """Fit on the rows whose name matches one of *patterns* and write the mapping to *out* in the engine's format.

    For PocketSphinx that is the constant and the weights in its module; for an engine with models it is `calibration.json`
    for the model's folder. Errors: Wrong for a model that already has one, because its confidence would be mapped twice.
    """
    if (
        choice.engine != "pocketsphinx"
        and (ModelStore(engine_config.models).path(choice.model) / calibration.FILE).exists()
    ):
        raise Wrong(f"{choice.model} has a {calibration.FILE}: move it away, measure, and put the new one there")
    clues = _clues(rows, choice, engine_config)
    chosen = [clue for clue in clues if fits(clue.row, patterns)]
    if choice.engine == "pocketsphinx":
        weights = _logistic(chosen)
        found = fitted(clues, _logistic, lambda row: fits(row, patterns))
        text = json.dumps({"constant": weights.constant, "weights": weights.weights, "monotone": weights.monotone})
    else:
        found = fitted(clues, lambda some: _over(_line(some)), lambda row: fits(row, patterns))
        text = calibration.dump(_line(chosen))
    out.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return {"fitted_on": sorted({clue.row.name for clue in chosen}), **found}


def _over(known: calibration.Calibration) -> Mapping:
    return lambda evidence: known(evidence[0])
