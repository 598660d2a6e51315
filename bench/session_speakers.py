"""Measures the speakers of realtime sessions beside those of jobs: `python -m bench.session_speakers [--model NAME] [--out FILE]`.

A real server gets each recording with known turns as a job, as a session of `/v2` for each `--max-delay`, and as one of
`/v2/agent`, at real-time pace. A recognised word belongs to the speaker whose turn is at its middle; words where nobody or
several speak do not count. A word is wrong if its label is not that of its speaker, in the best assignment of labels to
speakers. JSON goes to standard output, a table to standard error. Nothing here runs in `make test`.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from bench import conversations, live_speakers, machine
from bench.conversations import Conversation, Told
from bench.realtime import PIECE, write_wave
from sottovoce.transcript.model import RATE
from tests.servers import ROOT, Server

AUDIO = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": RATE}
AT_ONCE = 2
"""Sessions at once: more would make each other late on two cores."""

Words = list[tuple[float, float, str]]  # start and end in seconds, label


async def _session(server: Server, path: str, config: dict[str, Any], pcm: bytes) -> list[dict[str, Any]]:
    """The messages of one session."""
    got: list[dict[str, Any]] = []
    address = server.url.replace("http", "ws") + path
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {server.key}"}) as http,
        http.ws_connect(address, max_msg_size=0) as socket,
    ):
        start = {"message": "StartRecognition", "audio_format": AUDIO, "transcription_config": config}
        await socket.send_json(start)

        begun = asyncio.Event()

        async def read() -> None:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    got.append(json.loads(message.data))
                    if got[-1]["message"] == "RecognitionStarted":
                        begun.set()

        reading = asyncio.create_task(read())
        await asyncio.wait_for(begun.wait(), 30)
        zero, size = time.monotonic(), round(PIECE * RATE) * 2
        for number, at in enumerate(range(0, len(pcm), size), start=1):
            await asyncio.sleep(max(zero + number * PIECE - time.monotonic(), 0))
            await socket.send_bytes(pcm[at : at + size])
        await socket.send_json({"message": "EndOfStream", "last_seq_no": -(-len(pcm) // size)})
        await asyncio.wait_for(reading, 60)
    return got


def _words(results: Sequence[dict[str, Any]]) -> Words:
    return [
        (each["start_time"], each["end_time"], each["alternatives"][0]["speaker"])
        for each in results
        if each["type"] == "word"
    ]


def _finals(got: Sequence[dict[str, Any]]) -> Words:
    return _words([each for body in got if body["message"] == "AddTranscript" for each in body["results"]])


def _segments(got: Sequence[dict[str, Any]]) -> Words:
    """Segments have no times of words: their words are spread evenly."""
    found: Words = []
    for body in got:
        if body["message"] != "AddSegment":
            continue
        count = len(body["segment"]["transcript"].split())
        edges = np.linspace(body["metadata"]["start_time"], body["metadata"]["end_time"], count + 1).tolist()
        label = body["segment"].get("speaker", "")
        found += [(edges[number], edges[number + 1], label) for number in range(count)]
    return found


def score(words: Words, told: Sequence[Told]) -> dict[str, Any]:
    """The confusion of *words*, and the number of labels."""
    spoken: list[Told] = []
    labels: list[str] = []
    for start, end, label in words:
        middle = (start + end) / 2
        speakers = {turn.speaker for turn in told if turn.start <= middle < turn.end}
        if len(speakers) == 1:
            spoken.append(Told(start=start, end=end, speaker=speakers.pop()))
            labels.append(label)
    return {
        "words": len(spoken),
        "confusion": live_speakers.confusion(spoken, labels) if spoken else None,
        "found": len(set(labels)),
    }


def _job(server: Server, path: Path) -> Words:
    config = {"type": "transcription", "transcription_config": {"language": "en", "diarization": "speaker"}}
    job = server.submit(path, config)
    if server.wait(job)["status"] != "done":
        raise RuntimeError("the batch transcript failed")
    return _words(server.transcript(job)["results"])


async def _ways(server: Server, conversation: Conversation, delays: Sequence[float], folder: Path) -> dict[str, Any]:
    """The scores of *conversation* by each way."""
    pcm = (np.clip(conversation.audio, -1.0, 1.0) * 32_767).astype("<i2").tobytes()
    path = folder / f"{conversation.source}-{conversation.name}.wav"
    write_wave(path, pcm)
    found: dict[str, Any] = {"speakers": len({turn.speaker for turn in conversation.told})}
    config = {"language": "en", "diarization": "speaker"}
    found["batch"] = score(await asyncio.to_thread(_job, server, path), conversation.told)
    for delay in delays:
        got = await _session(server, "/v2", config | {"max_delay": delay, "enable_partials": True}, pcm)
        found[f"live_{delay:g}"] = score(_finals(got), conversation.told)
    found["agent"] = score(_segments(await _session(server, "/v2/agent", config, pcm)), conversation.told)
    return found


async def measure(server: Server, wanted: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The scores of every recording, and the mean of each folder."""
    made = conversations.talks() if conversations.can_speak() else conversations.fixtures()
    every = [each for each in chain(conversations.shared(wanted.shared), made) if not each.words_only]
    every = [each for each in every if not wanted.source or each.source in wanted.source]
    room = asyncio.Semaphore(AT_ONCE)

    async def one(each: Conversation) -> tuple[str, dict[str, Any]]:
        async with room:
            found = await _ways(server, each, wanted.max_delay, folder)
        shown = "  ".join(
            f"{way} {value['confusion'] or 0:.1%} {value['found']}" for way, value in found.items() if way != "speakers"
        )
        print(f"{each.source}/{each.name:20} {found['speakers']} speakers  {shown}", file=sys.stderr, flush=True)
        return f"{each.source}/{each.name}", found

    files = dict(await asyncio.gather(*map(one, every)))
    sets: dict[str, dict[str, float]] = {}
    for source in sorted({name.split("/")[0] for name in files}):
        held = [value for name, value in files.items() if name.startswith(f"{source}/")]
        ways = [way for way in held[0] if way != "speakers"]
        sets[source] = {way: float(np.mean([value[way]["confusion"] or 0.0 for value in held])) for way in ways}
    return {"files": files, "sets": sets}


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.session_speakers", description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--model", default="whisper-tiny.en", help="the model of both operating points (whisper-tiny.en)"
    )
    parser.add_argument("--models-dir", type=Path, default=ROOT / "data" / "models", help="folder of the models")
    parser.add_argument("--shared", type=Path, default=conversations.SHARED, help="folder with audio/*/*.rttm")
    parser.add_argument("--source", nargs="*", help="only these folders of recordings")
    parser.add_argument("--max-delay", type=float, nargs="*", default=[1.0, 2.0, 4.0], help="1 2 4")
    parser.add_argument("--out", type=Path, help="also write the report to this file")
    wanted = parser.parse_args(given)
    settings = {
        "SOTTOVOCE_ENGINE": "auto",
        "SOTTOVOCE_ROLES": "api,batch,realtime",
        "SOTTOVOCE_MODELS_DIR": str(wanted.models_dir.absolute()),
        "SOTTOVOCE_STANDARD_MODEL": wanted.model,
        "SOTTOVOCE_ENHANCED_MODEL": wanted.model,
    }
    with tempfile.TemporaryDirectory(prefix="sottovoce-bench-") as folder, Server(Path(folder), **settings) as server:
        found = asyncio.run(measure(server, wanted, Path(folder)))
    report = {"machine": machine.fingerprint(), "model": wanted.model} | found
    text = json.dumps(machine.rounded(report), indent=2, ensure_ascii=False)
    print(text)
    if wanted.out:
        wanted.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
