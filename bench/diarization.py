"""Measures diarization: `python -m bench.diarization [--diarizer NAME …] [--shared DIR] [--models FOLDER]`.

Every recording with turns beside it, and conversations that flite synthesises during the run (without flite: those of the
tests), go through each diarizer as in the service: stretches that Silero finds, 200 ms padded. JSON goes to standard output,
a table to standard error. The exit code is 1 when the builtin diarizer confuses more than the light method on a set of real
recordings, 2 when nothing could be measured.

Parts: diarizers, scores (`errors`), one recording (`score`), the report, the command.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import conversations, machine
from bench.conversations import Conversation, Told
from bench.light_diarizer import LightDiarizer
from bench.manifest import Wrong
from sottovoce.audio.activity import ActivityPolicy, Speech, segments
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.diarization.gaussian.assignment import assignment
from sottovoce.engines.diarization.gaussian.diarizer import GaussianDiarizer
from sottovoce.engines.protocols import DiarizationHints, Diarized, Diarizer
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.model import RATE

POLICY = ActivityPolicy(threshold=0.35, pad=3_200)
"""Includes quieter speech than the recogniser's policy, and 200 ms around it (pad: 3,200 samples at 16 kHz)."""

FRAMES = 100  # a second
COLLAR = 0.25  # seconds around each border of the reference that are not scored

JUDGED = ("conv", "pyannote")
"""Sets on which the builtin diarizer must not be worse than the light method."""

BASELINE = "light"

_Flags = NDArray[np.bool_]


# ── diarizers ──


def _voice_encoder(models: Path | None) -> Diarizer:
    """The voice encoder. Raises `EngineUnavailable` if it, its model or the folder is missing."""
    if models is None:
        raise EngineUnavailable("no --models folder was given", at=None)
    try:
        made: Diarizer = import_module("sottovoce.engines.diarization.ge2e.diarizer").VoiceEncoderDiarizer(models)
    except (ImportError, AttributeError, OSError) as error:
        raise EngineUnavailable(f"it cannot be loaded: {type(error).__name__}", at=None) from error
    return made


DIARIZERS: dict[str, Callable[[Path | None], Diarizer]] = {
    "builtin": lambda _: GaussianDiarizer(),
    "voice-encoder": _voice_encoder,
    BASELINE: lambda _: LightDiarizer(),
}


# ── scores ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Shares of the speech time (two at once count twice): missed, false alarm, given to the wrong speaker."""

    miss: float
    false_alarm: float
    confusion: float

    @property
    def rate(self) -> float:
        """The diarization error rate."""
        return self.miss + self.false_alarm + self.confusion


def errors(told: Sequence[Told], heard: Sequence[Told], seconds: float) -> Errors:
    """The errors of *heard* against *told*, in frames of 10 ms: overlap scored, best speaker mapping, `COLLAR` left out.

    All zero where nothing is left to score.
    """
    frames = int(seconds * FRAMES) + 1
    scored = np.ones(frames, bool)
    for turn in told:
        for border in (turn.start, turn.end):
            scored[max(0, int((border - COLLAR) * FRAMES)) : max(0, int((border + COLLAR) * FRAMES))] = False
    reference, hypothesis = (_active(turns, frames)[:, scored] for turns in (told, heard))
    spoken, found = reference.sum(axis=0), hypothesis.sum(axis=0)
    right = np.zeros(len(spoken), np.intp)
    together = reference.astype(np.float64) @ hypothesis.T.astype(np.float64)
    for one, other in assignment(together):
        right += reference[one] & hypothesis[other]
    total = max(int(spoken.sum()), 1)
    return Errors(
        miss=float(np.maximum(spoken - found, 0).sum() / total),
        false_alarm=float(np.maximum(found - spoken, 0).sum() / total),
        confusion=float((np.minimum(spoken, found) - right).sum() / total),
    )


def _active(turns: Sequence[Told], frames: int) -> _Flags:
    """The frames in which each speaker is active, bool[speakers, frames]."""
    speakers = sorted({turn.speaker for turn in turns})
    active = np.zeros((len(speakers), frames), bool)
    for turn in turns:
        active[speakers.index(turn.speaker), int(turn.start * FRAMES) : int(turn.end * FRAMES)] = True
    return active


# ── one recording ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One recording through one diarizer; *cpu* in seconds of processor time, activity not counted."""

    conversation: Conversation
    found: int
    errors: Errors
    cpu: float

    @property
    def told(self) -> int:
        """The true number of speakers."""
        return len({turn.speaker for turn in self.conversation.told})


def stretches(conversation: Conversation) -> list[Speech]:
    """The stretches of speech that a diarizer gets."""
    blocks = (conversation.audio[at : at + RATE] for at in range(0, len(conversation.audio), RATE))
    return list(segments(blocks, SileroVad(), POLICY))


def score(conversation: Conversation, speech: Sequence[Speech], diarizer: Diarizer) -> Score:
    """Run *diarizer* on *speech* and compare its turns with the known ones."""
    begun = time.process_time()
    diarized = diarizer.diarize(lambda: iter(speech), DiarizationHints())
    cpu = time.process_time() - begun
    heard = turns(diarized)
    return Score(
        conversation=conversation,
        found=len(diarized.voices),
        errors=errors(conversation.told, heard, conversation.seconds),
        cpu=cpu,
    )


def turns(diarized: Diarized) -> list[Told]:
    """The turns of *diarized*, in seconds."""
    return [Told(start=turn.start / RATE, end=turn.end / RATE, speaker=str(turn.voice)) for turn in diarized.turns]


# ── the report ──


def report(scores: Sequence[Score]) -> dict[str, Any]:
    """Figures for each recording, and for each set weighted by the duration of its recordings."""
    sets: dict[str, list[Score]] = defaultdict(list)
    for each in scores:
        sets[each.conversation.source].append(each)
    return {
        "files": {f"{each.conversation.source}/{each.conversation.name}": _one(each) for each in scores},
        "sets": {name: _total(held) for name, held in sets.items()},
        "cpu_per_audio_s": sum(each.cpu for each in scores) / sum(each.conversation.seconds for each in scores),
    }


def _one(each: Score) -> dict[str, Any]:
    rates = {"confusion": each.errors.confusion}
    if not each.conversation.words_only:
        rates |= {
            "der": each.errors.rate,
            "miss": each.errors.miss,
            "false_alarm": each.errors.false_alarm,
        }
    seconds = each.conversation.seconds
    return {
        "speakers": each.told,
        "found": each.found,
        **rates,
        "seconds": seconds,
        "cpu_per_audio_s": each.cpu / seconds,
    }


def _total(scores: Sequence[Score]) -> dict[str, Any]:
    seconds = sum(each.conversation.seconds for each in scores)

    def mean(value: Callable[[Score], float]) -> float:
        return sum(value(each) * each.conversation.seconds for each in scores) / seconds

    found: dict[str, Any] = {
        "files": len(scores),
        "seconds": seconds,
        "confusion": mean(lambda each: each.errors.confusion),
        "speakers_off": sum(abs(each.found - each.told) for each in scores) / len(scores),
    }
    whole = [each for each in scores if not each.conversation.words_only]
    return found | ({"der": mean(lambda each: each.errors.rate)} if len(whole) == len(scores) else {})


def verdict(results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Compare confusion on `JUDGED`. `worse`: the builtin one is higher than the light one on any set; None if one is missing."""
    if "builtin" not in results or BASELINE not in results:
        return {"worse": None}
    ours, theirs = (results[name]["sets"] for name in ("builtin", BASELINE))
    sets = {
        name: {"builtin": ours[name]["confusion"], BASELINE: theirs[name]["confusion"]}
        for name in JUDGED
        if name in ours
    }
    return {"sets": sets, "worse": any(each["builtin"] > each[BASELINE] for each in sets.values())}


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _row(name: str, each: Score) -> None:
    where = f"{each.conversation.source}/{each.conversation.name}"
    rate = f"{each.errors.rate:7.1%}" if not each.conversation.words_only else " " * 7
    _tell(f"{name:14}{where:32}{each.told:3}{each.found:4}{rate}{each.errors.confusion:8.1%}{each.cpu:7.2f} s")


# ── the command ──


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--diarizer", nargs="+", choices=list(DIARIZERS), default=list(DIARIZERS))
    parser.add_argument("--shared", type=Path, default=conversations.SHARED, help="folder with audio/*/*.rttm")
    parser.add_argument("--models", type=Path, help="folder of the voice encoder's model")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the report to this file")
    return parser.parse_args(given)


def _conversations(folder: Path) -> Iterable[Conversation]:
    made: Iterator[Conversation] = conversations.talks() if conversations.can_speak() else conversations.fixtures()
    return chain(conversations.shared(folder), made)


def measure(wanted: argparse.Namespace) -> dict[str, Any]:
    """Run every recording through every available diarizer. Raises `Wrong` if there is nothing to measure."""
    ready: dict[str, Diarizer] = {}
    missing: dict[str, str] = {}
    for name in wanted.diarizer:
        try:
            ready[name] = DIARIZERS[name](wanted.models)
        except EngineUnavailable as error:
            missing[name] = error.detail
    if not ready:
        raise Wrong(f"there is no diarizer: {missing}")
    scores: dict[str, list[Score]] = {name: [] for name in ready}
    _tell(f"{'diarizer':14}{'recording':32}told found  DER  conf.    cpu")
    for conversation in _conversations(wanted.shared):
        speech = stretches(conversation)
        for name, diarizer in ready.items():
            scores[name].append(score(conversation, speech, diarizer))
            _row(name, scores[name][-1])
    if not any(scores.values()):
        raise Wrong("there is no recording with turns beside it")
    results = {name: report(held) for name, held in scores.items()}
    return {"not_there": missing, "diarizers": results, "verdict": verdict(results)}


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print. The exit code is 1 if the builtin diarizer is worse than the light method, 2 on an error."""
    wanted = _arguments(given)
    head = {
        "machine": machine.fingerprint(),
        "scored": {"frame_s": 1 / FRAMES, "collar_s": COLLAR, "overlap": True, "threshold": POLICY.threshold},
    }
    try:
        result = head | measure(wanted)
    except (Wrong, EngineUnavailable, OSError, ValueError) as error:
        _tell(f"bench.diarization: {error.detail if isinstance(error, EngineUnavailable) else error}")
        return 2
    text = json.dumps(machine.rounded(result), indent=2, ensure_ascii=False)
    print(text)
    if wanted.json:
        wanted.json.write_text(text + "\n", encoding="utf-8")
    return int(bool(result["verdict"]["worse"]))


if __name__ == "__main__":
    sys.exit(main())
