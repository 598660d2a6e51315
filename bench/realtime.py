"""Measures live transcription: `python -m bench.realtime [--model whisper-base …] [--sessions N] [--max-delay S …] [--out FILE]`.

A real server gets real speech at real-time pace, from one process per client. Words of finals are compared with the reference
and with the same model's batch transcript of the same audio, which also gives the end of each word for the latencies. Prints
JSON with the machine's fingerprint. `--capacity` finds out instead how many sessions the server takes (`bench/capacity.py`), whose
clients talk without pauses, or, with `--pauses`, half of the time. Nothing here runs in `make test`.
In order: the audio; the client; latencies and errors; one measurement; the command.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from bench import machine, manifest, scoring
from sottovoce.audio import media
from sottovoce.pipeline.live.finals import is_number
from sottovoce.transcript.model import RATE
from tests.servers import ROOT, Server

PIECE = 0.1  # seconds of audio in one message
SAME = 0.6  # seconds by which the ends of a word may differ in a partial and in the batch transcript
PAUSE = 1.0  # seconds of silence between two files
_IDLE = 15.0  # seconds in which the cost of an idle server is measured
_JOB_AT = 20.0  # seconds from the start of a session to that of a job beside it
WAVE = "speech.wav"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Audio as 16-bit samples at 16 kHz, and its reference in normalised words."""

    pcm: bytes
    reference: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.pcm) / 2 / RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one client received: words of finals with arrival times, and first arrivals of words in partials."""

    finals: list[tuple[str, float, float]]  # text, end in the audio, arrival; seconds from the first audio
    partials: list[tuple[float, list[tuple[str, float]]]]  # arrival, words with their ends
    error: str = ""


def speech(path: Path, words: int) -> Sound:
    """The English files of the manifest at *path*, one after another, until there are *words* words."""
    rows, _ = manifest.read(path, ["en"])
    parts: list[np.ndarray] = []
    reference: list[str] = []
    for row in sorted(rows, key=lambda each: -each.seconds):
        if len(reference) >= words:
            break
        parts.append(np.concatenate([block[0] for block in media.decode(row.path)]))
        parts.append(np.zeros(round(PAUSE * RATE), np.float32))
        reference += row.reference
    audio = np.clip(np.concatenate(parts), -1.0, 1.0)
    return Sound(pcm=(audio * 32_767).astype("<i2").tobytes(), reference=tuple(reference))


# ── the client ──


async def _stream(url: str, key: str, pcm: bytes, max_delay: float) -> Heard:
    start = {
        "message": "StartRecognition",
        "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": RATE},
        "transcription_config": {"language": "en", "enable_partials": True, "max_delay": max_delay},
    }
    heard = Heard(finals=[], partials=[])
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(f"{url.replace('http', 'ws')}/v2", max_msg_size=0, autoping=True) as socket,
    ):
        await socket.send_json(start)
        begun = asyncio.get_running_loop().create_future()
        reader = asyncio.create_task(_read(socket, heard, begun))
        await asyncio.wait_for(asyncio.shield(begun), 30)
        zero = begun.result()
        size = round(PIECE * RATE) * 2
        for number, at in enumerate(range(0, len(pcm), size), start=1):
            await asyncio.sleep(max(zero + number * PIECE - time.monotonic(), 0))
            await socket.send_bytes(pcm[at : at + size])
        await socket.send_json({"message": "EndOfStream", "last_seq_no": -(-len(pcm) // size)})
        error = await asyncio.wait_for(reader, 60)
    return Heard(finals=heard.finals, partials=heard.partials, error=error)


async def _read(socket: aiohttp.ClientWebSocketResponse, heard: Heard, begun: "asyncio.Future[float]") -> str:
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.TEXT:
            continue
        body = json.loads(message.data)
        now = time.monotonic()
        match body["message"]:
            case "RecognitionStarted":
                begun.set_result(now)
            case "AddTranscript":
                heard.finals.extend((text, end, now - begun.result()) for text, end in _words(body))
            case "AddPartialTranscript":
                heard.partials.append((now - begun.result(), _words(body)))
            case "EndOfTranscript":
                return ""
            case "Error":
                if not begun.done():
                    begun.set_exception(RuntimeError(body.get("reason", "")))
                return f"{body.get('type')}: {body.get('reason')}"
    return "the connection was closed"


def _words(body: dict[str, Any]) -> list[tuple[str, float]]:
    return [
        (each["alternatives"][0]["content"], each["end_time"])
        for each in body["results"]
        if each["type"] != "punctuation"
    ]


def _client(url: str, key: str, pcm: bytes, max_delay: float) -> Heard:
    return asyncio.run(_stream(url, key, pcm, max_delay))


# ── latencies and errors ──


def _normalised(words: Sequence[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    return [(token, end, at) for text, end, at in words for token in scoring.tokens(text, "en")]


def latencies(
    heard: Heard, truth: Sequence[tuple[str, float]], *, numbers: bool = True
) -> tuple[list[float], list[float]]:
    """Seconds from the end of each word (as the batch transcript *truth* has it) to its final, and to its first partial.

    Without *numbers*: of words that are no numbers, which alone may wait longer than `max_delay` (mode `flexible`).
    """
    finals = _normalised(heard.finals)
    ours, theirs = [word for word, _, _ in finals], [word for word, _ in truth]
    late: list[float] = []
    early: list[float] = []
    for truth_at, ours_at in scoring.compare(theirs, ours).matched if ours else ():
        word, _, arrival = finals[ours_at]
        if not numbers and is_number(word):
            continue
        end = truth[truth_at][1]
        late.append(arrival - end)
        shown = (
            at
            for at, words in heard.partials
            for text, word_end in words
            if abs(word_end - end) < SAME and word in scoring.tokens(text, "en")
        )
        early.append(min(next(shown, arrival), arrival) - end)
    return late, early


def _spread(values: Sequence[float]) -> dict[str, float]:
    found = list(values)
    if not found:
        return {}
    return {name: machine.percentile(found, share) for name, share in (("median", 0.5), ("p95", 0.95), ("p99", 0.99))}


def _rate(reference: Sequence[str], found: Sequence[str]) -> float:
    return scoring.compare(reference, found).tally.wer or 0.0 if found else 1.0


# ── one measurement ──


def idle(server: Server) -> dict[str, float]:
    """Processor seconds a second of *server* without a session, which looks for jobs (`SOTTOVOCE_POLL_INTERVAL`)."""
    before = _cpu(server)
    time.sleep(_IDLE)
    return {name: (seconds - before.get(name, seconds)) / _IDLE for name, seconds in _cpu(server).items()}


def measure(
    server: Server, sound: Sound, truth: list[tuple[str, float]], *, sessions: int, delay: float, job: Path | None
) -> dict[str, Any]:
    """Errors, latencies and cost of *sessions* clients at once, with the same audio and *delay* as `max_delay`.

    *job*: a file that is transcribed by the same server from `_JOB_AT` on. The cost is that above an idle server.
    """
    resting = idle(server)
    before, begun = _cpu(server), time.monotonic()
    with multiprocessing.get_context("spawn").Pool(sessions) as pool:
        every_later = pool.starmap_async(_client, [(server.url, server.key, sound.pcm, delay)] * sessions, chunksize=1)
        job_s = _job_beside(server, job) if job else None
        every = every_later.get()
    wall = time.monotonic() - begun
    spent = {
        name: seconds - before.get(name, 0.0) - resting.get(name, 0.0) * wall for name, seconds in _cpu(server).items()
    }
    pairs = [latencies(heard, truth) for heard in every]
    no_numbers = [latencies(heard, truth, numbers=False)[0] for heard in every]
    offline = _rate(sound.reference, [word for word, _ in truth])
    live = [_rate(sound.reference, [word for word, _, _ in _normalised(heard.finals)]) for heard in every]
    audio = sound.seconds * sessions
    return {
        "sessions": sessions,
        "max_delay": delay,
        "errors": [heard.error for heard in every if heard.error],
        "wer_offline": offline,
        "wer_live": statistics.fmean(live),
        "final_s": _spread([value for late, _ in pairs for value in late]),
        "final_without_numbers_s": _spread([value for late in no_numbers for value in late]),
        "partial_s": _spread([value for _, early in pairs for value in early]),
        "cpu_per_audio_s": {name: seconds / audio for name, seconds in spent.items()},
        "idle_cpu_per_s": resting,
        "batch_job_s": job_s,
    }


def _job_beside(server: Server, path: Path) -> float:
    """Seconds of the transcription of *path*, begun in mid-session."""
    time.sleep(_JOB_AT)
    begun = time.monotonic()
    if server.wait(server.submit(path))["status"] != "done":
        raise RuntimeError("the job beside the sessions failed")
    return time.monotonic() - begun


def _cpu(server: Server) -> dict[str, float]:
    """Processor seconds of the server's own process, and of its children together."""
    ticks = os.sysconf("SC_CLK_TCK")

    def of(pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    if server.process is None:
        return {}
    return {"server": of(server.process.pid), "engines": sum(of(pid) for pid in server.children())}


def write_wave(path: Path, pcm: bytes) -> None:
    """Write 16-bit samples at 16 kHz, one channel."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(pcm)


def _truth(server: Server, sound: Sound, folder: Path) -> list[tuple[str, float]]:
    """Normalised words of the batch transcript, with their ends."""
    path = folder / WAVE
    write_wave(path, sound.pcm)
    job = server.submit(path)
    if server.wait(job)["status"] != "done":
        raise RuntimeError("the batch transcript failed")
    results = server.transcript(job)["results"]
    words = [(each["alternatives"][0]["content"], each["end_time"], 0.0) for each in results if each["type"] == "word"]
    return [(word, end) for word, end, _ in _normalised(words)]


def _measurements(server: Server, sound: Sound, folder: Path, wanted: argparse.Namespace) -> list[dict[str, Any]]:
    truth = _truth(server, sound, folder)
    job = folder / WAVE if wanted.job else None
    found = []
    for sessions in wanted.sessions:
        for delay in wanted.max_delay:
            print(f"{sessions} session(s), max_delay {delay:g} …", file=sys.stderr, flush=True)
            found.append(measure(server, sound, truth, sessions=sessions, delay=delay, job=job))
    return found


# ── the command ──


def main(given: Sequence[str] | None = None) -> int:
    """Run the measurements of the command line and print their report."""
    parser = argparse.ArgumentParser(prog="python -m bench.realtime", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--model", default="whisper-base", help="the model of both operating points (whisper-base)")
    parser.add_argument("--models-dir", type=Path, default=ROOT / "data" / "models", help="folder of the models")
    parser.add_argument("--manifest", type=Path, default=manifest.SHARED, help="table of the audio")
    parser.add_argument("--words", type=int, default=600, help="least words of the audio (600)")
    parser.add_argument(
        "--sessions", type=int, nargs="*", default=[1], help="clients at once, one measurement for each (1)"
    )
    parser.add_argument("--max-delay", type=float, nargs="*", default=[0.7, 1.0, 2.0, 4.0], help="0.7 1 2 4")
    parser.add_argument("--job", action="store_true", help="transcribe the same audio as a job in mid-session")
    parser.add_argument("--out", type=Path, help="also write the report to this file")
    parser.add_argument(
        "--capacity", action="store_true", help="how many sessions the server takes, with the first --max-delay"
    )
    parser.add_argument("--pauses", action="store_true", help="with --capacity: clients talk half of the time")
    wanted = parser.parse_args(given)
    report: dict[str, Any] = {"machine": machine.fingerprint(), "model": wanted.model}
    sound = speech(wanted.manifest, wanted.words)
    report["audio"] = {"seconds": sound.seconds, "words": len(sound.reference)}
    settings = {
        "SOTTOVOCE_ENGINE": "auto",
        "SOTTOVOCE_ROLES": "api,batch,realtime",
        "SOTTOVOCE_MODELS_DIR": str(wanted.models_dir.absolute()),
        "SOTTOVOCE_STANDARD_MODEL": wanted.model,
        "SOTTOVOCE_ENHANCED_MODEL": wanted.model,
    }
    if wanted.capacity:  # one thread would use one core, and the load of the machine would never be high
        settings["SOTTOVOCE_SLOTS"] = str(len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory(prefix="sottovoce-bench-") as folder, Server(Path(folder), **settings) as server:
        if wanted.capacity:
            from bench import capacity

            said = capacity.with_pauses(sound) if wanted.pauses else sound
            report["capacity"] = capacity.measure(server, said, wanted.max_delay[0]) | {"pauses": wanted.pauses}
        else:
            report["measurements"] = _measurements(server, sound, Path(folder), wanted)
    text = json.dumps(machine.rounded(report), indent=2)
    print(text)
    if wanted.out:
        wanted.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
