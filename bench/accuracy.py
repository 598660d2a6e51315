"""How right an engine is, how honest its confidence, how fast: `python -m bench.accuracy [--manifest FILE …]`.

Every file goes through the service's own way (a process of the inference pool, as `sottovoce transcribe` has it) and, in the
same run, through the engine called directly. JSON goes to standard output, tables and listings to standard error. The exit
code is 1 when the service is worse than the direct call by more than the tolerance and by no chance, 2 when nothing could be
measured.
"""

import argparse
import contextlib
import json
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import bare, machine, manifest, reliability, scoring
from bench.manifest import SHARED, Row, Wrong
from bench.reliability import Judged
from sottovoce.engines import calibration, registry
from sottovoce.engines.models.store import Shelf
from sottovoce.engines.setup import Setup, visible_devices
from sottovoce.errors import EngineUnavailable, Refused
from sottovoce.inference import messages as m
from sottovoce.inference.pool import ChildBroke, ChildDied, EngineBroken, EngineDown, Pool, PoolPolicy, Task
from sottovoce.request import OperatingPoint, TranscriptionRequest
from sottovoce.transcript import codec
from sottovoce.transcript.model import Mark

TOLERANCE = 0.005
"""Word error rate by which the service may be worse than the direct call, absolute: half a word in a hundred."""

_DRAWS = 2_000

_TICKS = os.sysconf("SC_CLK_TCK")
_FAULTS = (Refused, ChildDied, ChildBroke, EngineBroken, EngineDown)


# ── the service's way ──


class Service:
    """One warm child of the inference pool with the chosen engine. Raises `EngineUnavailable`."""

    def __init__(self, choice: registry.Choice, setup: Setup) -> None:
        self._key = m.EngineKey(engine=choice.engine, model=choice.model, device=choice.device)
        never = PoolPolicy(
            recycle_after=sys.maxsize, max_rss=sys.maxsize
        )  # figures of one process, from its first file to its last
        self._pool = Pool(never, setup)
        self._pid, self._before = 0, 0.0
        self._fresh = False
        try:
            self._pool.warm(self._key, 1)
        except BaseException:
            self._pool.close()
            raise

    def hear(self, path: Path, language: str) -> bare.Run:
        """What the service writes for *path*. Raises what the pool raises."""
        request = TranscriptionRequest(language=language)
        self._fresh = True
        begun = time.monotonic()
        outcome = self._pool.run_blocking(
            self._key, Task(message=m.Transcribe(path=str(path.resolve()), request=request)), self._listen
        )
        wall = time.monotonic() - begun
        items = codec.decode(outcome.payload).items
        words = tuple((item.text, item.confidence) for item in items if not isinstance(item, Mark))
        cpu, peak = _cpu(self._pid) - self._before, machine.peak_rss(self._pid)
        return bare.Run(words=words, cpu=cpu, wall=wall, peak=peak)

    def _listen(self, _message: m.Message, _payload: bytes) -> None:
        """The first message of a task tells which process is at work; on the pool's thread."""
        if self._fresh and (busy := self._pool.busy_pids()):
            self._fresh, self._pid, self._before = False, busy[0], _cpu(busy[0])

    def close(self) -> None:
        """End the child."""
        self._pool.close()


def _cpu(pid: int) -> float:
    """Seconds of processor that *pid* has used, all threads, kernel included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


# ── one file ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One file through one of the two ways. *failure*: why nothing was heard; then every word of it is missing."""

    row: Row
    comparison: scoring.Comparison
    words: tuple[Judged, ...]
    unsure: int  # words without a confidence
    run: bare.Run
    failure: str = ""


def score(row: Row, run: bare.Run, failure: str = "") -> Score:
    """*run* held against the reference of *row*; each token of a word has the word's confidence."""
    heard = [(token, sure) for text, sure in run.words for token in scoring.tokens(text, row.language)]
    compared = scoring.compare(row.reference, [token for token, _ in heard])
    words = tuple(
        Judged(confidence=sure, right=right)
        for (_, sure), right in zip(heard, compared.right, strict=True)
        if sure is not None
    )
    return Score(row=row, comparison=compared, words=words, unsure=len(heard) - len(words), run=run, failure=failure)


def _heard(hear: Callable[[Path, str], bare.Run], row: Row, faults: tuple[type[Exception], ...]) -> Score:
    try:
        return score(row, hear(row.path, row.language))
    except faults as fault:
        why = str(fault).strip().splitlines()[-1:] or [type(fault).__name__]
        return score(row, bare.Run(words=(), cpu=0.0, wall=0.0, peak=0), why[0])


def _scores(rows: Sequence[Row], service: Service, direct: bare.Bare | None) -> Iterator[tuple[Score, Score | None]]:
    """Both ways for one file after the other, so that a busy machine is as busy for both."""
    for number, row in enumerate(rows, 1):
        ours = _heard(service.hear, row, _FAULTS)
        theirs = _heard(direct.hear, row, (Exception,)) if direct else None
        both = [each for each in (ours, theirs) if each]
        figures = " ".join(f"{each.comparison.tally.wer:7.1%}" for each in both)
        failures = "".join(f"  FAILED: {each.failure}" for each in both if each.failure)
        _tell(f"{number:4}/{len(rows)} {figures}  {row.name}{failures}")
        yield ours, theirs


# ── the report ──


def _tally(tally: scoring.Tally) -> dict[str, Any]:
    return {
        "words": tally.words,
        "wer": tally.wer,
        "substitutions": tally.substitutions,
        "deletions": tally.deletions,
        "insertions": tally.insertions,
    }


def report(scores: Sequence[Score]) -> dict[str, Any]:
    """Errors in all, by set and by file; confidence; speed; memory."""
    sets: dict[str, list[scoring.Tally]] = defaultdict(list)
    for each in scores:
        sets[each.row.source].append(each.comparison.tally)
    seconds = sum(each.row.seconds for each in scores)
    return {
        "total": _tally(scoring.total(each.comparison.tally for each in scores)),
        "sets": {name: {"files": len(held), **_tally(scoring.total(held))} for name, held in sets.items()},
        "files": {each.row.name: _tally(each.comparison.tally) for each in scores},
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


def verdict(ours: Sequence[scoring.Tally], theirs: Sequence[scoring.Tally], tolerance: float) -> dict[str, Any]:
    """Whether the service is worse on the same files, given in the same order.

    It is when the difference of word error rates is above *tolerance*, and by no chance: 95 % of the differences that come
    of drawing as many files anew must lie above zero. Half a bit of noise in the samples alone moves PocketSphinx by a point
    on ten minutes of speech (docs/accuracy.md).
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


def rounded(value: Any) -> Any:
    """*value* with four decimals in every number: more would pretend."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _tables(service: dict[str, Any], direct: dict[str, Any] | None) -> None:
    """What a person wants to see first."""
    _tell(f"\n{'set':20}{'files':>6}{'words':>7}{'service':>9}{'direct':>9}")
    for name, ours in [*service["sets"].items(), ("all", {"files": len(service["files"]), **service["total"]})]:
        theirs = (direct["total"] if name == "all" else direct["sets"][name])["wer"] if direct else None
        last = f"{theirs:9.1%}" if theirs is not None else ""
        _tell(f"{name:20}{ours['files']:6}{ours['words']:7}{ours['wer']:9.1%}{last}")
    _tell(f"\n{'confidence':14}{'words':>6}{'said':>8}{'right':>8}")
    for row in service["confidence"]["table"]:
        _tell(f"{row['from']:.1f} to {row['to']:.1f}    {row['words']:6}{row['confidence']:8.2f}{row['right']:8.2f}")


def _listings(scores: Iterable[Score]) -> None:
    for each in scores:
        if each.comparison.listing:
            _tell(f"\n{each.row.name}\n{each.comparison.listing}")


# ── confidence out of evidence ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """One heard word of a fit: what was known of it, and whether it was right."""

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
    """A mapping from the clues *inside*, judged on those and on the rest; the same the other way round; and each set
    judged by a mapping from all other sets. What has too few words for a fit is None.

    Errors: ValueError where those *inside* have too few.
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
    """*others* judged by a mapping from *some*; empty where that cannot be fitted."""
    try:
        return _judged(fit(some), others)
    except ValueError:
        return []


def _clues(rows: Sequence[Row], choice: registry.Choice, setup: Setup) -> list[Clue]:
    """What is known of every word that is heard in *rows*."""
    if choice.engine == "pocketsphinx":
        heard = bare.evidence([row.path for row in rows])
    else:
        with contextlib.closing(Service(choice, setup)) as service:
            runs = [service.hear(row.path, row.language) for row in rows]
        heard = [[(text, (sure,)) for text, sure in run.words if sure is not None] for run in runs]
    clues = []
    for row, words in zip(rows, heard, strict=True):
        spoken = [(token, known) for text, known in words for token in scoring.tokens(text, row.language)]
        right = scoring.compare(row.reference, [token for token, _ in spoken]).right
        clues += [Clue(row=row, evidence=known, right=yes) for (_, known), yes in zip(spoken, right, strict=True)]
    return clues


def calibrate(
    rows: Sequence[Row], choice: registry.Choice, setup: Setup, patterns: Sequence[str], out: Path
) -> dict[str, Any]:
    """Fit on the rows whose name fits one of *patterns* and write to *out* what the engine takes.

    For PocketSphinx that is the constant and the weights in its module; for an engine with models `calibration.json`, to
    be put into the model's folder. Errors: Wrong for a model that has one already: its confidence would be mapped twice.
    """
    if choice.engine != "pocketsphinx" and (Shelf(setup.models).path(choice.model) / calibration.FILE).exists():
        raise Wrong(f"{choice.model} has a {calibration.FILE}: move it away, measure, and put the new one there")
    clues = _clues(rows, choice, setup)
    chosen = [clue for clue in clues if _fits(clue.row, patterns)]
    if choice.engine == "pocketsphinx":
        weights = _logistic(chosen)
        found = fitted(clues, _logistic, lambda row: _fits(row, patterns))
        text = json.dumps({"constant": weights.constant, "weights": weights.weights, "monotone": weights.monotone})
    else:
        found = fitted(clues, lambda some: _over(_line(some)), lambda row: _fits(row, patterns))
        text = calibration.dump(_line(chosen))
    out.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return {"fitted_on": sorted({clue.row.name for clue in chosen}), **found}


def _over(known: calibration.Calibration) -> Mapping:
    return lambda evidence: known(evidence[0])


def _fits(row: Row, patterns: Sequence[str]) -> bool:
    return any(fnmatch(row.name, pattern) for pattern in patterns)


# ── the command ──


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, nargs="+", default=[SHARED], help="tables of files and references")
    parser.add_argument("--engine", default="auto", help="whisper, onnx-asr, pocketsphinx, package.module:ENGINE")
    parser.add_argument("--model", help="of a model folder; without it the service's own choice")
    parser.add_argument("--models-dir", type=Path, default=Path("data/models"))
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0")
    parser.add_argument("--language", nargs="+", default=["en"], help="rows of other languages are left out")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the report there too")
    parser.add_argument("--errors", action="store_true", help="list every word that is wrong")
    parser.add_argument("--baseline", choices=["prototype", "bare", "none"])
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="absolute word error rate (%(default)s)")
    parser.add_argument("--calibrate", type=Path, metavar="OUT", help="fit confidence and write it there, no more")
    parser.add_argument("--fit", nargs="+", default=["*"], metavar="GLOB", help="files to fit on; the rest is held out")
    return parser.parse_args(given)


def _choice(wanted: argparse.Namespace) -> tuple[registry.Choice, Setup]:
    """The engine that the service would take, all cores its own. Raises `EngineUnavailable`, ValueError."""
    setup = Setup(
        models=wanted.models_dir.absolute(),
        pinned={OperatingPoint.STANDARD: wanted.model} if wanted.model else {},
        devices=visible_devices(wanted.device),
        threads=len(os.sched_getaffinity(0)),
    )
    offers = registry.offered(setup, wanted.engine)
    return registry.choose(wanted.language[0], OperatingPoint.STANDARD, offers), setup


def _rows(wanted: argparse.Namespace) -> tuple[list[Row], Counter[str]]:
    rows: list[Row] = []
    skipped = Counter[str]()
    for path in wanted.manifest:
        more, without = manifest.read(path, wanted.language)
        rows += more
        skipped += without
    if not rows:
        raise Wrong(f"nothing to score; left out: {dict(skipped)}")
    return rows, skipped


def _head(
    wanted: argparse.Namespace, choice: registry.Choice, rows: Sequence[Row], skipped: Counter[str]
) -> dict[str, Any]:
    packages = {name: version(name) for name in ("faster-whisper", "ctranslate2", "onnxruntime", "jiwer")}
    return {
        "machine": machine.fingerprint() | {"more_packages": packages},
        "engine": {"engine": choice.engine, "model": choice.model, "device": choice.device, "why": choice.why},
        "manifests": [path.name for path in wanted.manifest],
        "languages": wanted.language,
        "rows": {"scored": len(rows), "skipped": dict(skipped)},
        "normalisation": scoring.RULES,
    }


def measure(wanted: argparse.Namespace, choice: registry.Choice, setup: Setup, rows: Sequence[Row]) -> dict[str, Any]:
    """Both ways over all *rows*. Raises `EngineUnavailable`, `NoBaseline`."""
    method = bare.method_for(choice.engine, wanted.baseline)
    device = setup.devices[0]
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(contextlib.closing(Service(choice, setup)))
        direct = None
        if method != "none":
            call = bare.Wanted(method=method, engine=choice.engine, model=choice.model, device=device, setup=setup)
            direct = stack.enter_context(contextlib.closing(bare.Bare(call)))
        pairs = list(_scores(rows, service, direct))
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs if b]
    if wanted.errors:
        _listings(ours)
    result: dict[str, Any] = {"service": report(ours)}
    if theirs:
        result["baseline"] = {"method": method, **report(theirs)}
        one, other = ([each.comparison.tally for each in scores] for scores in (ours, theirs))
        result["verdict"] = verdict(one, other, wanted.tolerance)
    _tables(result["service"], result.get("baseline"))
    return result


def main(given: Sequence[str] | None = None) -> int:
    """Measure what was asked for, print it, and say with the exit code whether the service is the worse."""
    wanted = _arguments(given)
    try:
        rows, skipped = _rows(wanted)
        choice, setup = _choice(wanted)
        result = _head(wanted, choice, rows, skipped)
        if wanted.calibrate:
            result["calibration"] = calibrate(rows, choice, setup, wanted.fit, wanted.calibrate)
        else:
            result |= measure(wanted, choice, setup, rows)
    except (Wrong, bare.NoBaseline, EngineUnavailable, OSError, ValueError) as error:
        why = error.detail if isinstance(error, EngineUnavailable) else str(error)
        _tell(f"bench.accuracy: {why}")
        return 2
    text = json.dumps(rounded(result), indent=2, ensure_ascii=False)
    print(text)
    if wanted.json:
        wanted.json.write_text(text + "\n", encoding="utf-8")
    return int(result.get("verdict", {}).get("worse", False))


if __name__ == "__main__":
    sys.exit(main())
