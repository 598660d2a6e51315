"""Measures live diarization beside batch: `python -m bench.live_speakers [--delay S …] [--shared DIR] [--hours H] [--json OUT]`.

Every recording with turns beside it, and conversations that flite synthesises during the run (without flite: those of the
tests), go through the live diarizer as in a session. Their words are pieces of 0.3 s of the turns: a word is final when it
ended *delay* seconds before the newest audio. A word is wrong if its label is not that of its speaker, in the best assignment
of labels to speakers. With `--hours`, a recording of that length, made of the others one after another, is timed instead.
JSON goes to standard output, a table to standard error.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench import conversations, diarization, machine
from bench.conversations import Conversation, Told
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.diarization.gaussian.assignment import assignment
from sottovoce.engines.diarization.gaussian.diarizer import GaussianDiarizer
from sottovoce.engines.diarization.gaussian.live import LiveGaussianDiarizer
from sottovoce.engines.protocols import DiarizationHints, LiveDiarizationHints
from sottovoce.pipeline.live.speakers import SPEECH, SpeakerTrack
from sottovoce.transcript.model import RATE, Samples

WORD = 0.3
"""Seconds of a word."""
_HOP = 3  # frames of the speech detector that arrive at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The labels of the words of one recording; *cpu*: processor seconds without the speech detector; *longest* of a step."""

    labels: list[str]
    cpu: float
    longest: float


def words(told: Sequence[Told]) -> list[Told]:
    """The turns in pieces of `WORD`, by end, without those in which another speaker speaks."""
    found = []
    for turn in told:
        count = max(round((turn.end - turn.start) / WORD), 1)
        edges = np.linspace(turn.start, turn.end, count + 1).tolist()
        for start, end in pairwise(edges):
            if not any(each.speaker != turn.speaker and each.start < end and start < each.end for each in told):
                found.append(Told(start=start, end=end, speaker=turn.speaker))
    return sorted(found, key=lambda word: word.end)


def live(conversation: Conversation, spoken: Sequence[Told], delay: float) -> Live:
    """Label *spoken*, words of *conversation*, as a session does."""
    vad = SileroVad()
    track = SpeakerTrack(LiveGaussianDiarizer(LiveDiarizationHints()))
    labels: list[str] = []
    cpu, longest = 0.0, 0.0
    size = _HOP * vad.frame
    padded = np.pad(conversation.audio, (0, -len(conversation.audio) % size))
    for at in range(0, len(padded), size):
        audio = padded[at : at + size]
        judged = [(at + number * vad.frame, probability) for number, probability in enumerate(vad(audio))]
        now = (at + size) / RATE
        begun = time.process_time()
        track.hear(audio, judged, vad.frame)
        while len(labels) < len(spoken) and spoken[len(labels)].end <= now - delay:
            labels.append(_labelled(track, spoken[len(labels)]))
        taken = time.process_time() - begun
        cpu, longest = cpu + taken, max(longest, taken)
    labels += [_labelled(track, word) for word in spoken[len(labels) :]]
    return Live(labels=labels, cpu=cpu, longest=longest)


def _labelled(track: SpeakerTrack, word: Told) -> str:
    return track.settled(_samples(word.start), _samples(word.end))


def batch(conversation: Conversation, spoken: Sequence[Told]) -> list[str]:
    """The labels of *spoken* by the batch diarizer: of each word that of the turn with most of it."""
    diarized = GaussianDiarizer().diarize(lambda: iter(diarization.stretches(conversation)), DiarizationHints())
    turns = diarization.turns(diarized)

    def share(turn: Told, word: Told) -> float:
        return min(turn.end, word.end) - max(turn.start, word.start)

    return [max(turns, key=lambda turn, word=word: share(turn, word)).speaker if turns else "" for word in spoken]  # type: ignore[misc]


def confusion(spoken: Sequence[Told], labels: Sequence[str]) -> float:
    """The share of *spoken* whose label is not that of its speaker, in the best assignment."""
    speakers, names = sorted({word.speaker for word in spoken}), sorted(set(labels))
    shared = np.zeros((len(speakers), len(names)))
    for word, label in zip(spoken, labels, strict=True):
        shared[speakers.index(word.speaker), names.index(label)] += 1
    return 1 - sum(float(shared[one, other]) for one, other in assignment(shared)) / max(len(spoken), 1)


def _resident_mb() -> float:
    """The memory of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _samples(seconds: float) -> Samples:
    return round(seconds * RATE)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _conversations(folder: Path) -> Iterator[Conversation]:
    made = conversations.talks() if conversations.can_speak() else conversations.fixtures()
    for each in chain(conversations.shared(folder), made):
        if not each.words_only:
            yield each


def measure(folder: Path, delays: Sequence[float]) -> dict[str, Any]:
    """Confusion of each recording, in batch and live with each delay, and the mean of each set."""
    files: dict[str, dict[str, Any]] = {}
    _tell(f"{'recording':32}told  batch         " + "".join(f"live {delay:3.1f} s      " for delay in delays))
    for each in _conversations(folder):
        spoken = words(each.told)
        found: dict[str, Any] = {"speakers": len({word.speaker for word in spoken})}
        labels = batch(each, spoken)
        found["batch"] = {"confusion": confusion(spoken, labels), "found": len(set(labels))}
        for delay in delays:
            heard = live(each, spoken, delay)
            found[f"live_{delay:g}"] = {
                "confusion": confusion(spoken, heard.labels),
                "found": len(set(heard.labels)),
                "cpu_per_audio_s": heard.cpu / each.seconds,
                "longest_s": heard.longest,
            }
        files[f"{each.source}/{each.name}"] = found
        shown = "".join(
            f"{value['confusion']:6.1%} {value['found']:2}{value.get('cpu_per_audio_s', 0):6.3f} "
            for value in found.values()
            if isinstance(value, dict)
        )
        _tell(f"{each.source + '/' + each.name:32}{found['speakers']:4}  {shown}")
    sets: dict[str, dict[str, float]] = {}
    for source in sorted({name.split("/")[0] for name in files}):
        held = [value for name, value in files.items() if name.startswith(f"{source}/")]
        ways = [way for way in held[0] if way != "speakers"]
        sets[source] = {way: float(np.mean([value[way]["confusion"] for value in held])) for way in ways}
        _tell(f"{source:38}" + "".join(f"{sets[source][way]:6.1%}          " for way in ways))
    return {"files": files, "sets": sets}


def endure(folder: Path, hours: float) -> dict[str, Any]:
    """Processor time per second of audio and memory of a session of *hours*, for each tenth of it."""
    sounds = [each.audio for each in conversations.shared(folder) if each.source in diarization.JUDGED]
    whole = np.concatenate(sounds)
    track, vad = SpeakerTrack(LiveGaussianDiarizer(LiveDiarizationHints())), SileroVad()
    tenth, rows = hours * 360.0, []
    at, cpu, longest, since, labels = 0, 0.0, 0.0, 0, set[str]()
    size = _HOP * vad.frame
    while at < hours * 3600 * RATE:
        audio = np.take(whole, range(at, at + size), mode="wrap")
        judged = [(at + number * vad.frame, probability) for number, probability in enumerate(vad(audio))]
        begun = time.process_time()
        track.hear(audio, judged, vad.frame)
        if at > 2 * RATE and max(probability for _, probability in judged) >= SPEECH:
            labels.add(track.settled(at - 2 * RATE, at - 2 * RATE + size))
        taken = time.process_time() - begun
        at, cpu, longest = at + size, cpu + taken, max(longest, taken)
        if (at - since) / RATE >= tenth:
            row = {"at_s": at / RATE, "cpu_per_audio_s": cpu / ((at - since) / RATE), "longest_s": longest}
            rows.append(row | {"resident_mb": _resident_mb(), "speakers": len(labels)})
            _tell(str(machine.rounded(rows[-1])))
            since, cpu, longest = at, 0.0, 0.0
    return {"hours": hours, "tenths": rows}


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", nargs="+", type=float, default=[1.0, 2.0, 3.5], help="seconds (1, 2, 3.5)")
    parser.add_argument("--shared", type=Path, default=conversations.SHARED, help="folder with audio/*/*.rttm")
    parser.add_argument("--hours", type=float, help="time a session of this length instead")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the report to this file")
    wanted = parser.parse_args(given)
    found = endure(wanted.shared, wanted.hours) if wanted.hours else measure(wanted.shared, wanted.delay)
    text = json.dumps(machine.rounded({"machine": machine.fingerprint()} | found), indent=2, ensure_ascii=False)
    print(text)
    if wanted.json:
        wanted.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
