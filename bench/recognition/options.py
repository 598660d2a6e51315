"""The command line of `bench.accuracy`: files, engine, model and measurements."""

import argparse
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import manifest
from bench.manifest import SHARED, Row, Wrong
from bench.recognition import times
from bench.recognition.scores import TOLERANCE
from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig, visible_devices
from sottovoce.engines.models import catalogue
from sottovoce.engines.models.store import ModelStore
from sottovoce.request import OperatingPoint
from sottovoce.transcript.languages import PACKS

BASELINES = ("prototype", "bare", "bare-batched", "bare-vad", "none")


def arguments(given: Sequence[str] | None, description: str) -> argparse.Namespace:
    """The parsed command line; `@FILE` stands for the lines of FILE."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.accuracy",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fromfile_prefix_chars="@",
    )
    _add_files(parser.add_argument_group("files (`@FILE` in place of a value reads values from FILE, one a line)"))
    _add_engine(parser.add_argument_group("engine"))
    _add_measurements(parser.add_argument_group("measurements (without any of these: the files one by one)"))
    _add_report(parser.add_argument_group("report"))
    wanted = parser.parse_args(given)
    if wanted.custom_words == []:
        wanted.custom_words = [50, 1000]
    return wanted


def _add_files(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--manifest", type=Path, nargs="+", default=[SHARED], help="tables of files and references")
    group.add_argument("--language", nargs="+", default=["en"], help="codes of the rows to take, or `all`")
    group.add_argument("--files", nargs="+", default=["*"], metavar="GLOB", help="take only files whose name matches")
    group.add_argument("--held-out", nargs="+", default=[], metavar="GLOB", help="leave out files whose name matches")
    group.add_argument("--times", type=Path, nargs="*", metavar="JSON", help="known starts of words, by file")
    group.add_argument(
        "--work", type=Path, metavar="DIR", help="keep generated audio there; default: a temporary folder"
    )
    group.add_argument("--seed", type=int, default=1, help="seed of all generated audio and words (%(default)s)")


def _add_engine(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--engine", default="auto", help="whisper, onnx-asr, pocketsphinx, package.module:ENGINE")
    group.add_argument("--model", help="name of a model, short (base) or full (whisper-base)")
    group.add_argument(
        "--models-dir", type=Path, help="default: $SOTTOVOCE_MODELS_DIR, else `models` in the data folder"
    )
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0")
    group.add_argument(
        "--baseline", choices=BASELINES, help="the direct call; default: the engine's own, Whisper: bare"
    )


def _add_measurements(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--long", type=float, nargs="+", metavar="MIN", help="one long recording of each number of minutes"
    )
    group.add_argument("--nonspeech", action="store_const", const=True, help="words written for audio without speech")
    group.add_argument(
        "--custom-words",
        type=int,
        nargs="*",
        metavar="N",
        help="harm of N irrelevant custom words (50 and 1000), and help of right ones",
    )
    group.add_argument(
        "--helpful", nargs="+", default=[], metavar="FILE=WORD", help="with --custom-words: more words to find"
    )
    group.add_argument("--throughput", action="store_const", const=True, help="many files at once, and a lone long one")
    group.add_argument("--slots", type=int, help="with --throughput: processes at once; default: the service's")
    group.add_argument("--rounds", type=int, default=2, help="with --throughput: runs of the files (%(default)s)")
    group.add_argument(
        "--lone-minutes",
        type=float,
        default=60,
        help="with --throughput: length of the lone file, 0: none (%(default)s)",
    )
    group.add_argument(
        "--calibrate", type=Path, metavar="OUT", help="only fit confidence, and write the mapping to this file"
    )
    group.add_argument("--fit", nargs="+", default=["*"], metavar="GLOB", help="files to fit on; the rest is held out")


def _add_report(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--json", type=Path, metavar="OUT", help="also write the report to this file")
    group.add_argument("--errors", action="store_true", help="list every word that is wrong")
    group.add_argument("--tolerance", type=float, default=TOLERANCE, help="absolute word error rate (%(default)s)")


# ── the engine ──


def models_folder(given: Path | None) -> Path:
    """The models folder, chosen as in the service."""
    if given:
        return given.absolute()
    named = os.environ.get("SOTTOVOCE_MODELS_DIR")
    data = Path(os.environ.get("SOTTOVOCE_DATA_DIR") or "data")
    return (Path(named) if named else data / "models").absolute()


def choice(wanted: argparse.Namespace) -> tuple[registry.Choice, EngineConfig]:
    """The engine that the service would choose, with all cores. Raises `EngineUnavailable`, ValueError."""
    models = models_folder(wanted.models_dir)
    present = [each.name for each in ModelStore(models).present()]
    model = catalogue.canonical(wanted.model, present) if wanted.model else None
    if model in catalogue.CATALOGUE and model not in present:
        raise Wrong(f"the model {model} is not in {models.name}: `sottovoce models pull {model}` fetches it")
    engine_config = EngineConfig(
        models=models,
        pinned={OperatingPoint.STANDARD: model} if model else {},
        devices=visible_devices(wanted.device),
        threads=len(os.sched_getaffinity(0)),
    )
    offers = registry.offered(engine_config, wanted.engine)
    first = "en" if wanted.language[0] == "all" else wanted.language[0]
    return registry.choose(first, OperatingPoint.STANDARD, offers), engine_config


# ── the files ──


def rows(wanted: argparse.Namespace) -> tuple[list[Row], Counter[str]]:
    """The selected rows, and counts of the skipped ones by reason. Errors: Wrong when none is left."""
    asked = list(PACKS) if "all" in wanted.language else wanted.language
    found: list[Row] = []
    skipped = Counter[str]()
    for path in wanted.manifest:
        more, without = manifest.read(path, asked)
        skipped += without
        found += more
    found = _without(found, "not asked for", lambda row: not manifest.fits(row, wanted.files), skipped)
    return _without(found, "held out", lambda row: manifest.fits(row, wanted.held_out), skipped), skipped


def in_languages(found: Sequence[Row], languages: frozenset[str], skipped: Counter[str]) -> list[Row]:
    """The rows of *found* in *languages* that the engine has; counts the others. Errors: Wrong when none is left."""
    return _without(found, "unknown to the engine", lambda row: row.language not in languages, skipped)


def _without(rows: Sequence[Row], why: str, leave: Callable[[Row], bool], skipped: Counter[str]) -> list[Row]:
    kept = [row for row in rows if not leave(row)]
    if len(kept) < len(rows):
        skipped[why] += len(rows) - len(kept)
    if not kept:
        raise Wrong(f"nothing to score; left out: {dict(skipped)}")
    return kept


def known_times(wanted: argparse.Namespace, found: Sequence[Row]) -> times.Times:
    """Known starts of words for the rows *found*."""
    paths = wanted.times if wanted.times is not None else [times.KNOWN] if times.KNOWN.is_file() else []
    return times.read(paths, {row.name: row.language for row in found})
