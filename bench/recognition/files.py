"""Measures every file by itself: wrong words, confidence, starts of words, speed, memory."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bench.machine import tell
from bench.recognition import times
from bench.recognition.plan import Pair, Plan, pair
from bench.recognition.scores import Score, attempt, report, verdict
from bench.recognition.service import FAULTS


def measure(plan: Plan) -> dict[str, Any]:
    """Run both methods over all rows of *plan*. Raises `EngineUnavailable`."""
    with pair(plan) as ways:
        pairs = list(_scores(plan, ways))
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs if b]
    if plan.options.errors:
        _list_errors(ours)
    result: dict[str, Any] = {"service": report(ours) | {"word_starts": times.report(ours, plan.known)}}
    if theirs:
        result["baseline"] = {
            "method": plan.method,
            **report(theirs),
            "word_starts": times.report(theirs, plan.known),
        }
        one, other = ([each.comparison.tally for each in scores] for scores in (ours, theirs))
        result["verdict"] = verdict(one, other, plan.options.tolerance)
    _tables(result["service"], result.get("baseline"))
    return result


def _scores(plan: Plan, ways: Pair) -> Iterator[tuple[Score, Score | None]]:
    """Run both methods for one file after the other, so that the machine's load affects both alike."""
    for number, row in enumerate(plan.rows, 1):
        ours = attempt(ways.service.transcribe, row, FAULTS)
        theirs = attempt(ways.direct.transcribe, row, (Exception,)) if ways.direct else None
        both = [each for each in (ours, theirs) if each]
        figures = " ".join(f"{each.comparison.tally.wer:7.1%}" for each in both)
        failures = "".join(f"  FAILED: {each.failure}" for each in both if each.failure)
        tell(f"{number:4}/{len(plan.rows)} {figures}  {row.name}{failures}")
        yield ours, theirs


# ── tables ──


def _tables(service: dict[str, Any], direct: dict[str, Any] | None) -> None:
    """Print the main figures as a table."""
    tell(f"\n{'set':20}{'files':>6}{'words':>7}{'service':>9}{'direct':>9}")
    for name in service["sets"]:
        _row(name, service["sets"][name], direct["sets"][name] if direct else None)
    for name in service["languages"]:
        held = service["languages"][name]
        _row(f"{name} ({held['unit']})", held, direct["languages"][name] if direct else None)
    both = [service, *([direct] if direct else [])]
    _line("S D I", [_errors(each["total"]) for each in both])
    _line("processor s/s", [f"{each['cpu_per_audio_s']:.3f}" for each in both])
    _line("confidence ECE", [_figure(each["confidence"]["ece"]) for each in both])
    _line("confidence AUC", [_figure(each["confidence"]["auc"]) for each in both])
    _line("word start median s", [_figure(each["word_starts"]["median_s"]) for each in both])
    _line("word start p90 s", [_figure(each["word_starts"]["p90_s"]) for each in both])
    tell(f"\n{'confidence':14}{'words':>6}{'said':>8}{'right':>8}")
    for row in service["confidence"]["table"]:
        tell(f"{row['from']:.1f} to {row['to']:.1f}    {row['words']:6}{row['confidence']:8.2f}{row['right']:8.2f}")


def _row(name: str, ours: dict[str, Any], theirs: dict[str, Any] | None) -> None:
    last = f"{theirs['wer']:9.1%}" if theirs else ""
    tell(f"{name:20}{ours['files']:6}{ours['words']:7}{ours['wer']:9.1%}{last}")


def _line(name: str, figures: Sequence[str]) -> None:
    tell(f"{name:24}" + "".join(f"{figure:>18}" for figure in figures))


def _errors(total: dict[str, Any]) -> str:
    return " ".join(str(total[kind]) for kind in ("substitutions", "deletions", "insertions"))


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _list_errors(scores: Iterable[Score]) -> None:
    for each in scores:
        if each.comparison.listing:
            tell(f"\n{each.row.name}\n{each.comparison.listing}")
