"""What Home Assistant does with PyPI `wyoming`, unmodified. Prints the types and data of the events, as JSON.

Runs in `.venv-clients` with the address of the adapter.
"""

import asyncio
import json
import sys

from wyoming.asr import Transcribe, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

FORMAT = {"rate": 16_000, "width": 2, "channels": 1}


async def main(uri):
    found = []
    async with AsyncClient.from_uri(uri, read_timeout=60) as client:
        await client.write_event(Describe().event())
        info = Info.from_event(await client.read_event())
        found.append([info.asr[0].name, info.asr[0].models[0].languages, info.asr[0].supports_transcript_streaming])
        await client.write_event(Ping(text="a").event())
        found.append(Pong.from_event(await client.read_event()).text)
        for _ in range(2):  # a connection may be used again
            await client.write_event(Transcribe(language="en", transcript_names=["Ada"]).event())
            await client.write_event(AudioStart(**FORMAT).event())
            for _ in range(20):
                await client.write_event(AudioChunk(**FORMAT, audio=bytes(3_200)).event())
            await client.write_event(AudioStop().event())
            while True:
                event = await client.read_event()
                found.append([event.type, event.data])
                if TranscriptStop.is_type(event.type):
                    break
    print(json.dumps(found))


asyncio.run(main(sys.argv[1]))
