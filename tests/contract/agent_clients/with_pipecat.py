"""pipecat: its Speechmatics service, unmodified, in a pipeline that ends in a collector of frames.

From 1.10 on the service speaks Agent STT, before that realtime through the vendor's voice client; both have this interface.
"""

import asyncio
import sys

from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames import frames as f
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.speechmatics.stt import SpeechmaticsSTTService as Service
from pipecat.services.speechmatics.stt import TurnDetectionMode
from pipecat.workers.runner import WorkerRunner

from tests.contract.agent_clients.talk import RATE, Heard, Talk, frames, serve


class Collector(FrameProcessor):  # type: ignore[misc]
    """Takes every frame; transcripts and turns become events."""

    def __init__(self, heard: Heard) -> None:
        super().__init__()
        self._heard = heard
        self.started = asyncio.Event()

    async def process_frame(self, frame: f.Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        match frame:
            case f.StartFrame():
                self.started.set()
            case f.InterimTranscriptionFrame():
                self._heard.add("interim", text=frame.text)
            case f.TranscriptionFrame():
                self._heard.add("final", text=frame.text, confirmed=frame.finalized)
            case f.ProposedUserStartedSpeakingFrame():
                self._heard.add("turn")
            case f.ProposedUserStoppedSpeakingFrame():
                self._heard.add("turn_end")
        await self.push_frame(frame, direction)


async def push(worker: PipelineWorker, collector: Collector, talk: Talk, heard: Heard) -> None:
    await collector.started.wait()
    async for frame, ended in frames(talk, heard):
        await worker.queue_frame(f.InputAudioRawFrame(audio=frame, sample_rate=RATE, num_channels=1))
        if ended:
            await worker.queue_frame(f.VADUserStoppedSpeakingFrame())
    await asyncio.sleep(1)  # the service takes no more messages after the frame that ends it
    await worker.queue_frame(f.EndFrame())


async def hold(talk: Talk, heard: Heard) -> None:
    settings = Service.Settings(turn_detection_mode=TurnDetectionMode(talk.mode), **talk.settings)
    service = Service(api_key=talk.key, base_url=talk.url, settings=settings)
    collector = Collector(heard)
    seen = [VADProcessor(vad_analyzer=SileroVADAnalyzer())] if talk.vad else []

    @service.event_handler("on_error")  # type: ignore[untyped-decorator]
    async def on_error(_service: Service, error: f.ErrorFrame) -> None:
        heard.add("error", text=error.error)

    worker = PipelineWorker(
        Pipeline([*seen, service, collector]), params=PipelineParams(audio_in_sample_rate=RATE), enable_rtvi=False
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), push(worker, collector, talk, heard))


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="INFO")
    serve(hold)
