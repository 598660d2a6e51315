"""Measures the Agent API: `python -m bench.agent [--model whisper-tiny.en …] [--turns] [--out FILE]`.

A client says one recording after another at real-time pace to a real server, with silence between them. In `external` mode it
ends each turn as a voice-activity detector of its own would, 0.2 to 0.5 s after the speech. Reported: seconds from the end of
speech and from `ForceEndOfUtterance` to the last `AddSegment` and to `EndOfTurn`, and word errors beside those of the same model's
batch transcript of the same recordings.

`--turns` measures the rule for the end of a turn instead: for each pause in the recordings, the silence after which the rule and a
fixed pause end the turn. A pause is inside a sentence if the decode of the whole, with the words
after the pause, has no sentence end there.

Prints JSON with the machine's fingerprint. Nothing here runs in `make test`.
In order: the audio; the client; latencies; the rule; the command.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from bench import machine, manifest, scoring
from bench.realtime import write_wave
from sottovoce.audio import media
from sottovoce.engines import registry
from sottovoce.engines.common.silero_vad import SileroVad
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import Skill
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.channel import SPEECH
from sottovoce.pipeline.live.session import LiveSession
from sottovoce.pipeline.live.turn_end import end_silence
from sottovoce.request import AudioFormat, AudioType, Encoding, LiveRequest, TurnDetection, Turns
from sottovoce.transcript.model import RATE, Mark, Samples
from tests.servers import ROOT, Server

PIECE = RATE // 50
"""Samples of one message: 20 ms, as pipecat sends."""
_NEVER = 10**9  # samples until speech after the end of a recording
GAP = 2.5
"""Seconds of silence after each turn."""
FIXED = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5)
"""Pauses, seconds, beside which the rule is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn: *pcm* with silence at its end; speech ends at *end*, seconds from its beginning."""

    pcm: bytes
    end: float
    reference: tuple[str, ...]
    path: Path

    @property
    def seconds(self) -> float:
        """The length."""
        return len(self.pcm) / 2 / RATE


def _audio(path: Path) -> "np.ndarray[Any, np.dtype[np.float32]]":
    return np.concatenate([block[0] for block in media.decode(path)]).astype(np.float32)


def turns(path: Path, most: float) -> list[Turn]:
    """The English recordings of the manifest at *path* of at most *most* seconds, as turns."""
    found: list[Turn] = []
    rows, _ = manifest.read(path, ["en"])
    for row in rows:
        if row.seconds > most:
            continue
        audio = _audio(row.path)
        padded = np.concatenate([audio, np.zeros(round(GAP * RATE), np.float32)])
        pcm = (np.clip(padded, -1, 1) * 32_767).astype("<i2").tobytes()
        found.append(Turn(pcm=pcm, end=_speech_end(audio), reference=tuple(row.reference), path=row.path))
    return found


def _speech_end(audio: "np.ndarray[Any, np.dtype[np.float32]]") -> float:
    vad = SileroVad()
    judged = vad(audio[: len(audio) // vad.frame * vad.frame])
    last = max((number for number, probability in enumerate(judged) if probability >= SPEECH), default=0)
    return (last + 1) * vad.frame / RATE


# ── the client ──


@dataclass(slots=True, kw_only=True)
class Heard:
    """What a client received, in seconds from the first audio; *forced*: when each turn was ended."""

    segments: list[tuple[float, str, float, float]] = field(default_factory=list)  # arrival, text, start, end
    ends: list[float] = field(default_factory=list)
    partials: int = 0
    forced: list[tuple[float, float]] = field(default_factory=list)  # sent, timestamp
    error: str = ""


async def converse(server: Server, said: Sequence[Turn], mode: str, seed: int) -> Heard:
    """Say the turns *said* to *server*, and return what it answered."""
    heard, draw = Heard(), random.Random(seed)
    headers = {"Authorization": f"Bearer {server.key}"}
    start = {
        "message": "StartRecognition",
        "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": RATE},
        "transcription_config": {"language": "en", "model": "linden-1"},
        "turn_config": {"turn_detection_mode": mode},
    }
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(f"{server.url.replace('http', 'ws')}/v2/agent", max_msg_size=0) as socket,
    ):
        await socket.send_json(start)
        begun: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        reader = asyncio.create_task(_read(socket, heard, begun))
        zero = await asyncio.wait_for(asyncio.shield(begun), 30)
        sent = 0
        for turn in said:
            delay = draw.uniform(0.2, 0.5)
            fires = sent + round((turn.end + delay) * RATE)
            for at in range(0, len(turn.pcm), 2 * PIECE):
                piece = turn.pcm[at : at + 2 * PIECE]
                sent += len(piece) // 2
                await asyncio.sleep(max(zero + sent / RATE - time.monotonic(), 0))
                await socket.send_bytes(piece)
                if mode == "external" and sent - len(piece) // 2 < fires <= sent:
                    heard.forced.append((time.monotonic() - zero, sent / RATE))
                    await socket.send_json({"message": "ForceEndOfUtterance", "timestamp": sent / RATE})
        await socket.send_json({"message": "EndOfStream", "last_seq_no": 0})
        heard.error = await asyncio.wait_for(reader, 60)
    return heard


async def _read(socket: aiohttp.ClientWebSocketResponse, heard: Heard, begun: "asyncio.Future[float]") -> str:
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.TEXT:
            continue
        body, now = json.loads(message.data), time.monotonic()
        times = body.get("metadata", {})
        match body["message"]:
            case "RecognitionStarted":
                begun.set_result(now)
            case "AddSegment":
                text = body["segment"]["transcript"]
                heard.segments.append((now - begun.result(), text, times["start_time"], times["end_time"]))
            case "AddPartialSegment":
                heard.partials += 1
            case "EndOfTurn":
                heard.ends.append(now - begun.result())
            case "EndOfTranscript":
                return ""
            case "Error":
                if not begun.done():
                    begun.set_exception(RuntimeError(body.get("reason", "")))
                return f"{body.get('type')}: {body.get('reason')}"
    return "the connection was closed"


# ── latencies ──


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {
        name: machine.percentile(list(values), share) for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


def report(said: Sequence[Turn], heard: Heard, batch: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The figures of one conversation; *batch*: the normalised words of each turn's batch transcript."""
    starts = [0.0]
    for turn in said:
        starts.append(starts[-1] + turn.seconds)
    words: list[list[str]] = [[] for _ in said]
    last: list[float | None] = [None] * len(said)
    for at, text, start, end in heard.segments:
        number = min(bisect_right(starts, (start + end) / 2) - 1, len(said) - 1)
        words[number] += scoring.tokens(text, "en")
        last[number] = at
    ended = [next((at for at in reversed(heard.ends) if begin < at <= after), None) for begin, after in _spans(starts)]
    speech = [begin + turn.end for begin, turn in zip(starts, said, strict=False)]
    reference = [token for turn in said for token in turn.reference]
    forced = heard.forced if len(heard.forced) == len(said) else []
    found = {
        "turns": len(said),
        "ends_of_turn": len(heard.ends),
        "turns_without_segment": sum(at is None for at in last),
        "error": heard.error,
        "segment_after_speech_s": _spread(_after(last, speech)),
        "turn_after_speech_s": _spread(_after(ended, speech)),
        "wer": scoring.compare(reference, [word for each in words for word in each]).tally.wer,
        "wer_batch": scoring.compare(reference, [word for each in batch for word in each]).tally.wer,
    }
    if forced:
        found["segment_after_force_s"] = _spread(_after(last, [sent for sent, _ in forced]))
        found["turn_after_force_s"] = _spread(_after(ended, [sent for sent, _ in forced]))
    return found


def _spans(starts: Sequence[float]) -> Iterator[tuple[float, float]]:
    """The time in which a turn must end: until the next one has begun to be said."""
    for begin, after in itertools.pairwise(starts):
        yield begin + 0.3, after + 0.3


def _after(arrivals: Sequence[float | None], begin: Sequence[float]) -> list[float]:
    return [at - since for at, since in zip(arrivals, begin, strict=True) if at is not None]


def _batch(server: Server, said: Sequence[Turn], folder: Path) -> list[list[str]]:
    jobs = []
    for number, turn in enumerate(said):
        path = folder / f"{number}.wav"
        write_wave(path, turn.pcm)
        jobs.append(server.submit(path))
    found = []
    for job in jobs:
        if server.wait(job)["status"] != "done":
            raise RuntimeError("a batch transcript failed")
        results = server.transcript(job)["results"]
        texts = [each["alternatives"][0]["content"] for each in results if each["type"] == "word"]
        found.append([token for text in texts for token in scoring.tokens(text, "en")])
    return found


# ── the rule for the end of a turn ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause of *length* samples after *text*; *inside* a sentence. The end of a recording is the end of a turn."""

    length: Samples
    text: str
    inside: bool


def pauses(path: Path, model: str, models: Path) -> list[Pause]:
    """The pauses of at least 0.4 s in the English recordings of the manifest at *path*, as a session would meet them."""
    config = EngineConfig(models=models)
    live = registry.load(Skill.LIVE, EngineKey(engine="whisper", model=model), config)
    found: list[Pause] = []
    for row in manifest.read(path, ["en"])[0]:
        audio = np.concatenate([_audio(row.path), np.zeros(2 * RATE, np.float32)])
        found += _pauses(audio, live)
    return found


def _pauses(audio: "np.ndarray[Any, np.dtype[np.float32]]", live: Any) -> list[Pause]:
    told: list[events.Event] = []
    raw = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_F32LE, sample_rate=RATE)
    request = LiveRequest(language="en", audio=raw, enable_partials=True, turns=Turns(detection=TurnDetection.EXTERNAL))
    session = LiveSession(request, live, SileroVad, told.append, lambda: 0.0)
    for at in range(0, len(audio), PIECE):
        session.audio(0, audio[at : at + PIECE].astype("<f4").tobytes())
        while session.work():
            pass
    session.end(None)
    while session.work():
        pass
    final = [item for event in told if isinstance(event, events.Final) for item in event.items]
    marks = [item.at for item in final if isinstance(item, Mark) and item.ends_sentence]
    found: list[Pause] = []
    text, quiet = "", None
    for event in told:
        if isinstance(event, events.Partial):
            text = " ".join(item.text for item in event.items).replace(" .", ".").replace(" ,", ",").replace(" ?", "?")
        elif isinstance(event, events.SpeechEnded):
            quiet = event.at
        elif isinstance(event, events.SpeechStarted) and quiet is not None and text:
            inside = not any(abs(mark - quiet) < RATE // 2 for mark in marks)
            found.append(Pause(length=event.at - quiet, text=text, inside=inside))
    if text:
        found.append(Pause(length=_NEVER, text=text, inside=False))
    return found


def rule_report(found: Sequence[Pause]) -> dict[str, Any]:
    """How often the rule and fixed pauses end a turn inside a sentence, and the mean silence that they wait after a sentence."""
    inside = [pause for pause in found if pause.inside]
    between = [pause for pause in found if not pause.inside]

    def figures(waits: Sequence[tuple[Pause, float]]) -> dict[str, float]:
        cut = sum(pause.length / RATE >= wait for pause, wait in waits if pause.inside)
        after = [wait for pause, wait in waits if not pause.inside]
        return {
            "cut_inside_sentences": cut / max(len(inside), 1),
            "mean_wait_after_sentences_s": sum(after) / max(len(after), 1),
        }

    ruled = [(pause, end_silence(pause.text.split(), "en") / RATE) for pause in found]
    return {
        "pauses_inside_sentences": len(inside),
        "pauses_after_sentences": len(between),
        "rule": figures(ruled),
        "fixed": {f"{wait:g} s": figures([(pause, wait) for pause in found]) for wait in FIXED},
    }


# ── the command ──


def main(given: Sequence[str] | None = None) -> int:
    """Run the measurements of the command line and print their report."""
    parser = argparse.ArgumentParser(prog="python -m bench.agent", description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--model", default="whisper-tiny.en", help="the model of both operating points (whisper-tiny.en)"
    )
    parser.add_argument("--models-dir", type=Path, default=ROOT / "data" / "models", help="folder of the models")
    parser.add_argument("--manifest", type=Path, default=manifest.SHARED, help="table of the audio")
    parser.add_argument("--longest", type=float, default=10.0, help="longest turn in seconds (10)")
    parser.add_argument("--modes", nargs="*", default=["external", "vad"], help="external vad")
    parser.add_argument("--turns", action="store_true", help="measure the rule for the end of a turn instead")
    parser.add_argument("--seed", type=int, default=1, help="of the client's delays (1)")
    parser.add_argument("--out", type=Path, help="also write the report to this file")
    wanted = parser.parse_args(given)
    found: dict[str, Any] = {"machine": machine.fingerprint(), "model": wanted.model}
    if wanted.turns:
        found["end_of_turn"] = rule_report(pauses(wanted.manifest, wanted.model, wanted.models_dir))
    else:
        found["conversations"] = _conversations(wanted)
    text = json.dumps(machine.rounded(found), indent=2)
    print(text)
    if wanted.out:
        wanted.out.write_text(text + "\n", encoding="utf-8")
    return 0


def _conversations(wanted: argparse.Namespace) -> dict[str, Any]:
    said = turns(wanted.manifest, wanted.longest)
    settings = {
        "SOTTOVOCE_ENGINE": "auto",
        "SOTTOVOCE_ROLES": "api,batch,realtime",
        "SOTTOVOCE_MODELS_DIR": str(wanted.models_dir.absolute()),
        "SOTTOVOCE_STANDARD_MODEL": wanted.model,
        "SOTTOVOCE_ENHANCED_MODEL": wanted.model,
    }
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="sottovoce-bench-") as folder, Server(Path(folder), **settings) as server:
        batch = _batch(server, said, Path(folder))
        for mode in wanted.modes:
            print(f"{mode} …", file=sys.stderr, flush=True)
            found[mode] = report(said, asyncio.run(converse(server, said, mode, wanted.seed)), batch)
    return found


if __name__ == "__main__":
    sys.exit(main())
