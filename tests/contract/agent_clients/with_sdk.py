"""speechmatics-agent-stt: the vendor's client, unmodified; the events are all messages of the server."""

import asyncio
from typing import Any

from speechmatics.agent_stt import (
    AgentSttAsyncClient,
    ServerMessageType,
    TranscriptionConfig,
    TurnConfig,
    TurnDetectionMode,
)

from tests.contract.agent_clients.talk import Heard, Talk, frames, serve


async def hold(talk: Talk, heard: Heard) -> None:
    config = TranscriptionConfig(language="en", **talk.settings)
    turns = TurnConfig(turn_detection_mode=TurnDetectionMode(talk.mode))
    client = AgentSttAsyncClient(api_key=talk.key, url=talk.url, transcription_config=config, turn_config=turns)
    found = asyncio.Event()

    def add(message: dict[str, Any]) -> None:
        heard.add(message["message"], body=message)
        if message["message"] == ServerMessageType.SPEAKERS_RESULT:
            found.set()

    for each in ServerMessageType:
        client.on(each, add)
    async with client:
        async for frame, ended in frames(talk, heard):
            await client.send_audio(frame)
            if ended:
                client.finalize()
        if talk.speakers:
            await client.send_message({"message": "GetSpeakers"})
            await asyncio.wait_for(found.wait(), 5)
    heard.add("transcript", text=client.transcript)


if __name__ == "__main__":
    serve(hold)
