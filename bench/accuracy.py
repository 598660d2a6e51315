"""Measures an engine's accuracy, calibration of confidence, and speed: `python -m bench.accuracy [--manifest FILE …]`.

Every file goes through the service (a process of the inference pool, as in `sottovoce transcribe`) and, in the same run,
through the engine called directly. JSON goes to standard output, tables and listings to standard error. The exit code is 1
when the service is worse than the direct call by more than the tolerance and the difference is significant, 2 when nothing
could be measured.

`--long`, `--nonspeech`, `--custom-words` and `--throughput` measure something else instead, with the same files and the same
two methods; several of them make one report.
"""

import argparse
import contextlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import bare, machine, scoring
from bench.manifest import Row, Wrong
from bench.recognition import custom_words, files, fitting, invented, long_audio, options, throughput
from bench.recognition.plan import Plan
from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.errors import EngineUnavailable

MEASUREMENTS: Mapping[str, Callable[[Plan], dict[str, Any]]] = {
    "long": long_audio.measure,
    "nonspeech": invented.measure,
    "custom_words": custom_words.measure,
    "throughput": throughput.measure,
}
"""The measurement of each option; without these options the files are measured one by one."""


def _head(plan: Plan, skipped: Counter[str]) -> dict[str, Any]:
    packages = {name: version(name) for name in ("faster-whisper", "ctranslate2", "onnxruntime", "jiwer")}
    choice = plan.choice
    return {
        "machine": machine.fingerprint() | {"more_packages": packages},
        "engine": {"engine": choice.engine, "model": choice.model, "device": choice.device, "why": choice.why},
        "baseline_method": plan.method,
        "manifests": [path.name for path in plan.options.manifest],
        "languages": sorted({row.language for row in plan.rows}),
        "held_out": plan.options.held_out,
        "rows": {"scored": len(plan.rows), "skipped": dict(skipped)},
        "normalisation": scoring.RULES,
    }


def _measured(plan: Plan) -> dict[str, Any]:
    """The results of all measurements that the options select."""
    wanted = plan.options
    if wanted.calibrate:
        found = fitting.calibrate(plan.rows, plan.choice, plan.engine_config, wanted.fit, wanted.calibrate)
        return {"calibration": found}
    chosen = [name for name in MEASUREMENTS if getattr(wanted, name) is not None]
    if not chosen:
        return files.measure(plan)
    return {name: MEASUREMENTS[name](plan) for name in chosen}


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder *given*, created if missing, or a temporary one that is removed afterwards."""
    if given:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="sottovoce-bench-") as made:
        yield Path(made)


def _plan(
    wanted: argparse.Namespace, choice: registry.Choice, engine_config: EngineConfig, rows: Sequence[Row], work: Path
) -> Plan:
    return Plan(
        options=wanted,
        choice=choice,
        engine_config=engine_config,
        method=bare.method_for(choice.engine, wanted.baseline),
        rows=rows,
        known=options.known_times(wanted, rows),
        work=work,
    )


def main(given: Sequence[str] | None = None) -> int:
    """Run the selected measurements and print them. The exit code is 1 if the service is worse, 2 on an error."""
    wanted = options.arguments(given, __doc__ or "")
    try:
        asked, skipped = options.rows(wanted)
        choice, engine_config = options.choice(wanted)
        rows = options.in_languages(asked, choice.capabilities.languages, skipped)
        with _folder(wanted.work) as work:
            plan = _plan(wanted, choice, engine_config, rows, work)
            result = _head(plan, skipped) | _measured(plan)
    except (Wrong, bare.NoBaseline, EngineUnavailable, OSError, ValueError) as error:
        why = error.detail if isinstance(error, EngineUnavailable) else str(error)
        machine.tell(f"bench.accuracy: {why}")
        return 2
    text = json.dumps(machine.rounded(result), indent=2, ensure_ascii=False)
    print(text)
    if wanted.json:
        wanted.json.write_text(text + "\n", encoding="utf-8")
    return int(result.get("verdict", {}).get("worse", False))


if __name__ == "__main__":
    sys.exit(main())
