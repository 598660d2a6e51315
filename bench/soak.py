"""Runs one live session for a long time: `python -m bench.soak [--hours 8] [--minutes 60] [--model whisper-tiny.en] [--seed N]`.

First `--hours` of simulated audio go through a session in this process, as fast as it takes them: a scripted recogniser
reads each word, so that every word and its time is known. Then a real server gets `--minutes` of real speech with known words at
real-time pace. For each tenth of both: memory, how late finals are, and how far times are from the truth. 0 leaves one out. JSON
goes to standard output, the tenths to standard error; the exit status is 1 if memory, delay or times drift.
In order: the scripted session; the real one; the command.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from bench import machine, manifest, scoring
from bench.realtime import PIECE, Sound, speech
from sottovoce.engines.protocols import Capabilities, Hints, LiveWord, Skill
from sottovoce.pipeline.live import events
from sottovoce.pipeline.live.session import LiveSession
from sottovoce.request import AudioFormat, AudioType, Encoding, LiveRequest
from sottovoce.transcript.model import RATE, Samples, Word
from tests.servers import ROOT, Server
from tests.unit.pipeline.spoken import Ear, Language, Vad

DRIFT = 0.05
"""Seconds by which the times of words may be wrong."""
GROWTH_MB = 8.0
"""Memory by which the scripted session may grow after its first tenth."""
REAL_GROWTH = 0.1
"""Share by which the memory of a real server may grow after its first tenth."""
LATER = 1.0
"""Seconds by which finals of a real session may be later than in its first tenth, at the median."""
VOCABULARY = tuple(
    f"{one}{other}" for one in ("ba", "do", "ki", "lu", "me", "no", "pa") for other in ("ra", "si", "to", "ve")
)
RAW = AudioFormat(type=AudioType.RAW, encoding=Encoding.PCM_F32LE, sample_rate=RATE)


def resident_mb(pid: int | None = None) -> float:
    """The memory of a process, by default of this one."""
    status = Path(f"/proc/{pid or os.getpid()}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _tell(row: dict[str, Any]) -> None:
    print(json.dumps(machine.rounded(row)), file=sys.stderr, flush=True)


# ── the scripted session ──


class Recognizer:
    """A `LiveRecognizer` that reads the audio of *language*."""

    capabilities = Capabilities(
        engine="scripted",
        model="",
        languages=frozenset({"en"}),
        skills=frozenset({Skill.LIVE}),
        punctuates=True,
    )

    def __init__(self, language: Language) -> None:
        self._language = language

    def open(self, hints: Hints) -> "Quiet":
        """Return a stream."""
        del hints
        return Quiet(self._language)


class Quiet(Ear):
    """An `Ear` that keeps no list of its decodes."""

    def hypothesis(self, audio: Any, committed: Sequence[LiveWord], *, closing: bool) -> Any:
        """As of `LiveStream`."""
        self.decodes.clear()
        return super().hypothesis(audio, committed, closing=closing)


@dataclass(slots=True)
class Tally:
    """What the finals of a part of the session had. *late*: audio that was sent after the end of a word, in seconds."""

    said: int = 0
    right: int = 0
    wrong: int = 0
    drift: float = 0.0
    late: float = 0.0


@dataclass
class Simulation:
    """A session that hears random words and pauses; *words* that were said and are not final yet."""

    seed: int
    words: deque[tuple[str, Samples]] = field(default_factory=deque)
    tally: Tally = field(default_factory=Tally)
    sent: Samples = 0

    def __post_init__(self) -> None:
        self.chance = np.random.default_rng(self.seed)
        self.language = Language()
        request = LiveRequest(language="en", audio=RAW, enable_partials=True, max_delay=2.0, channels=())
        clock = lambda: self.sent / RATE  # noqa: E731
        self.session = LiveSession(request, Recognizer(self.language), Vad, self._heard, clock)

    def _heard(self, event: events.Event) -> None:
        if not isinstance(event, events.Final):
            return
        for item in event.items:
            if isinstance(item, Word):
                self._compare(item)

    def _compare(self, item: Word) -> None:
        """Compare a final word with the next one that was said."""
        tally = self.tally
        text, start = self.words.popleft() if self.words else ("", -RATE)
        if text != item.text:
            tally.wrong += 1
            return
        tally.right += 1
        tally.drift = max(tally.drift, abs(item.start - start) / RATE)
        tally.late = max(tally.late, (self.sent - item.end) / RATE)

    def sentence(self) -> None:
        """Send the audio of some words and a pause."""
        count = int(self.chance.integers(1, 25))
        pause = float(self.chance.choice([0.1, 0.3, 0.8, 1.5, 4.0], p=[0.2, 0.25, 0.25, 0.2, 0.1]))
        if self.chance.random() < 0.01:
            pause = 60.0
        text = [str(word) for word in self.chance.choice(VOCABULARY, count)]
        at = self.sent
        for word in text:
            part = self.language.say(word)
            self.words.append((word, at))
            at += len(part)
        self.tally.said += count
        self.send(np.concatenate([self.language.say(" ".join(text)), np.zeros(round(pause * RATE), np.float32)]))

    def send(self, audio: Any) -> None:
        """Send *audio* in pieces, and let the session work after each."""
        size = round(PIECE * RATE)
        for at in range(0, len(audio), size):
            part = audio[at : at + size]
            self.sent += len(part)
            self.session.audio(0, part.tobytes())
            while self.session.work():
                pass


def simulate(hours: float, seed: int) -> dict[str, Any]:
    """Run the scripted session for *hours* of audio."""
    run = Simulation(seed)
    rows: list[dict[str, Any]] = []
    for tenth in range(1, 11):
        begun, before = time.process_time(), run.sent
        while run.sent < hours * 360 * tenth * RATE:
            run.sentence()
        if tenth == 10:
            run.session.end(None)
            run.session.work()
        gc.collect()
        tally, run.tally = run.tally, Tally()
        rows.append(
            {
                "hours": run.sent / RATE / 3600,
                "words": tally.said,
                "right": tally.right,
                "wrong": tally.wrong,
                "drift_s": tally.drift,
                "latest_final_s": tally.late,
                "cpu_per_audio_s": (time.process_time() - begun) / ((run.sent - before) / RATE),
                "resident_mb": resident_mb(),
            }
        )
        _tell(rows[-1])
    return {"seed": seed, "lost": len(run.words), "tenths": rows, "faults": _scripted_faults(rows, len(run.words))}


def _scripted_faults(rows: Sequence[dict[str, Any]], lost: int) -> list[str]:
    found = []
    if lost or any(row["wrong"] for row in rows):
        found.append(f"{lost} words lost, {sum(row['wrong'] for row in rows)} wrong")
    if max(row["drift_s"] for row in rows) > DRIFT:
        found.append("the times of words drift")
    if rows[-1]["resident_mb"] - rows[0]["resident_mb"] > GROWTH_MB:
        found.append("memory grows")
    if rows[-1]["latest_final_s"] > rows[0]["latest_final_s"] + LATER:
        found.append("finals come later and later")
    return found


# ── the real session ──


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A final word: its end in the audio and its arrival, in seconds from the first audio."""

    text: str
    end: float
    at: float


async def _stream(server: Server, sound: Sound, seconds: float, samples: list[dict[str, float]]) -> list[Arrived]:
    """Send *sound* again and again for *seconds*; adds the memory of the server to *samples* every minute."""
    got: list[Arrived] = []
    config = {"language": "en", "max_delay": 2.0, "enable_partials": True}
    audio = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": RATE}
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {server.key}"}) as http,
        http.ws_connect(f"{server.url.replace('http', 'ws')}/v2", max_msg_size=0) as socket,
    ):
        await socket.send_json({"message": "StartRecognition", "audio_format": audio, "transcription_config": config})
        begun = asyncio.get_running_loop().create_future()

        async def read() -> None:
            async for message in socket:
                body = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else {}
                match body.get("message"):
                    case "RecognitionStarted":
                        begun.set_result(time.monotonic())
                    case "AddTranscript":
                        now = time.monotonic() - begun.result()
                        words = [each for each in body["results"] if each["type"] == "word"]
                        got.extend(
                            Arrived(text=each["alternatives"][0]["content"], end=each["end_time"], at=now)
                            for each in words
                        )

        reading = asyncio.create_task(read())
        zero = await asyncio.wait_for(begun, 30)
        size, sent = round(PIECE * RATE) * 2, 0
        while sent < seconds * RATE * 2:
            at = sent % len(sound.pcm)
            piece = sound.pcm[at : at + size]  # shorter at the end of the sound
            sent += len(piece)
            await asyncio.sleep(max(zero + sent / (RATE * 2) - time.monotonic(), 0))
            await socket.send_bytes(piece)
            if time.monotonic() - zero >= 60 * (len(samples) + 1):
                samples.append({"at": time.monotonic() - zero, **memory(server)})
        await socket.send_json({"message": "EndOfStream", "last_seq_no": 0})
        await asyncio.wait_for(reading, 60)
    return got


def memory(server: Server) -> dict[str, float]:
    """The memory of the server's own process, and of its children together."""
    if server.process is None:
        return {}
    children = sum(resident_mb(pid) for pid in server.children())
    return {"server_mb": resident_mb(server.process.pid), "engines_mb": children}


def rounds(words: Sequence[Arrived], sound: Sound) -> list[dict[str, Any]]:
    """Of each repetition of *sound*: wrong words, delay of finals, and the shift of words against the first repetition."""
    length = sound.seconds
    count = round((words[-1].end if words else 0) / length + 0.5)
    every = [[word for word in words if number * length <= word.end < (number + 1) * length] for number in range(count)]
    rows = []
    for number, part in enumerate(every):
        told = [(token, word) for word in part for token in scoring.tokens(word.text, "en")]
        first = [(token, word) for word in every[0] for token in scoring.tokens(word.text, "en")]
        reference = scoring.compare(list(sound.reference), [token for token, _ in told])
        same = scoring.compare([token for token, _ in first], [token for token, _ in told]).matched if told else ()
        shifts = [told[ours][1].end - number * length - first[theirs][1].end for theirs, ours in same]
        late = [word.at - word.end for word in part]
        rows.append(
            {
                "round": number + 1,
                "words": len(part),
                "wrong": reference.tally.wer if told else 1.0,
                "final_s_median": machine.percentile(late, 0.5) if late else None,
                "final_s_p95": machine.percentile(late, 0.95) if late else None,
                "shift_s_median": machine.percentile(shifts, 0.5) if shifts else None,
            }
        )
    return rows


def real(minutes: float, model: str, models: Path, table: Path, words: int) -> dict[str, Any]:
    """Run a session of a real server for *minutes*."""
    sound = speech(table, words)
    settings = {
        "SOTTOVOCE_ENGINE": "auto",
        "SOTTOVOCE_ROLES": "realtime",
        "SOTTOVOCE_MODELS_DIR": str(models.absolute()),
        "SOTTOVOCE_STANDARD_MODEL": model,
        "SOTTOVOCE_ENHANCED_MODEL": model,
    }
    samples: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="sottovoce-soak-") as folder, Server(Path(folder), **settings) as server:
        heard = asyncio.run(_stream(server, sound, minutes * 60, samples))
    rows = [row for row in rounds(heard, sound) if row["words"]]
    whole = rows[: int(minutes * 60 // sound.seconds)]  # the last one may be cut
    for row in whole:
        _tell(row)
    return {
        "model": model,
        "minutes": minutes,
        "memory": samples,
        "rounds": rows,
        "faults": _real_faults(whole, samples),
    }


def _real_faults(rows: Sequence[dict[str, Any]], samples: Sequence[dict[str, float]]) -> list[str]:
    found = []
    early, last = samples[len(samples) // 10], samples[-1]
    found += [
        f"{name} grows from {early[name]:.0f} to {last[name]:.0f}"
        for name in ("server_mb", "engines_mb")
        if last[name] > early[name] * (1 + REAL_GROWTH) + GROWTH_MB
    ]
    if any(abs(row["shift_s_median"]) > DRIFT for row in rows):
        found.append("the times of words drift")
    if rows and rows[-1]["final_s_median"] > rows[0]["final_s_median"] + LATER:
        found.append("finals come later and later")
    return found


# ── the command ──


def main(given: Sequence[str] | None = None) -> int:
    """Run both sessions and print their report."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--hours", type=float, default=8.0, help="of the scripted session (8)")
    parser.add_argument("--minutes", type=float, default=60.0, help="of the real session (60)")
    parser.add_argument("--seed", type=int, default=1, help="of the scripted session (1)")
    parser.add_argument("--model", default="whisper-tiny.en", help="of the real session (whisper-tiny.en)")
    parser.add_argument("--models-dir", type=Path, default=ROOT / "data" / "models", help="folder of the models")
    parser.add_argument("--manifest", type=Path, default=manifest.SHARED, help="table of the audio")
    parser.add_argument("--words", type=int, default=600, help="least words of the audio, which is repeated (600)")
    parser.add_argument("--out", type=Path, help="also write the report to this file")
    wanted = parser.parse_args(given)
    report: dict[str, Any] = {"machine": machine.fingerprint()}
    if wanted.hours:
        report["scripted"] = simulate(wanted.hours, wanted.seed)
    if wanted.minutes:
        report["real"] = real(wanted.minutes, wanted.model, wanted.models_dir, wanted.manifest, wanted.words)
    text = json.dumps(machine.rounded(report), indent=2)
    print(text)
    if wanted.out:
        wanted.out.write_text(text + "\n", encoding="utf-8")
    faults = [fault for part in ("scripted", "real") for fault in report.get(part, {}).get("faults", [])]
    for fault in faults:
        print(f"soak: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
