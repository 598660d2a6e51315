"""livekit-plugins-speechmatics: its speech stream, unmodified, fed with frames as an agent's session feeds it.

From 1.8.2 on the plugin speaks Agent STT, before that realtime through the vendor's voice client; both have this interface.
"""

import asyncio
import logging
import sys

from livekit import rtc
from livekit.agents import inference, stt
from livekit.plugins import speechmatics

from tests.contract.agent_clients.talk import RATE, Heard, Talk, frames, serve

KINDS = {
    stt.SpeechEventType.START_OF_SPEECH: "turn",
    stt.SpeechEventType.INTERIM_TRANSCRIPT: "interim",
    stt.SpeechEventType.FINAL_TRANSCRIPT: "final",
    stt.SpeechEventType.END_OF_SPEECH: "turn_end",
}


class Warnings(logging.Handler):
    """The warnings of the plugin, as events."""

    def __init__(self, heard: Heard) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.add("warning", text=record.getMessage() + str(getattr(record, "lk.pii.message", "")))


async def push(plugin: speechmatics.STT, stream: stt.RecognizeStream, talk: Talk, heard: Heard) -> None:
    async for frame, ended in frames(talk, heard):
        stream.push_frame(rtc.AudioFrame(frame, RATE, 1, len(frame) // 2))
        if ended:
            stream.flush()  # the plugin keeps audio until it has 50 ms
            while stream._input_ch.qsize():  # noqa: ASYNC110 - the plugin has no event for it
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.04)
            plugin.finalize()
    if talk.speakers:
        heard.add("speakers", found=await plugin.get_speaker_ids())
    stream.end_input()


async def hold(talk: Talk, heard: Heard) -> None:
    warnings = Warnings(heard)
    logging.getLogger("livekit.plugins.speechmatics").addHandler(warnings)
    mode = speechmatics.TurnDetectionMode(talk.mode)
    plugin = speechmatics.STT(
        api_key=talk.key,
        base_url=talk.url,
        turn_detection_mode=mode,
        vad=inference.VAD() if talk.vad else None,
        **talk.settings,
    )
    stream = plugin.stream()
    pushed = asyncio.create_task(push(plugin, stream, talk, heard))
    async for event in stream:
        if kind := KINDS.get(event.type):
            said = event.alternatives[0] if event.alternatives else None
            spoken = (
                {"text": said.text, "start": said.start_time, "end": said.end_time, "speaker": said.speaker_id}
                if said
                else {}
            )
            heard.add(kind, **spoken)
    await pushed
    await stream.aclose()
    logging.getLogger("livekit.plugins.speechmatics").removeHandler(warnings)


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    serve(hold)
