"""The stages of one job in a process of their own: a stage that hangs or crashes is ended there, at its deadline.

The process is started by the child that runs the job, at the job's first stage, and ended with the job. It belongs to the
process group of the child, so that it ends with it. A stage that fails this way takes the process with it; the next stage
gets a new one.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import TypeAdapter

from sottovoce.engines import registry
from sottovoce.engines.config import EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.engines.protocols import AnySkill
from sottovoce.inference import messages as m
from sottovoce.inference.frame_socket import FrameSocket
from sottovoce.intelligence.protocols import Stage, StageRefused, UnsupportedLanguage
from sottovoce.intelligence.stages import StageName
from sottovoce.pipeline.results import UNSUPPORTED, ResultContext
from sottovoce.transcript import codec
from sottovoce.transcript.model import RATE

MOST_RESULT = 64 << 20
"""Bytes of the JSON of one result: a transcript of a day has less."""
SIGN_OF_LIFE = 1.0
"""Seconds between two calls of `ResultContext.alive` while a stage runs."""
_ENGINE_CONFIG = TypeAdapter(EngineConfig)


class StageCrashed(Exception):
    """A stage failed in its process; the message has its stack trace, or says how the process ended."""


class StageProcess:
    """A `StageRunner`: *keys* are the engines by skill. Close it at the end of the job."""

    def __init__(self, keys: Mapping[AnySkill, EngineKey], engine_config: EngineConfig) -> None:
        self._keys = keys
        self._engine_config = engine_config
        self._process: subprocess.Popen[bytes] | None = None
        self._line: FrameSocket | None = None

    def run(self, stage: Stage, context: ResultContext) -> Any:
        """Return the result of *stage*. Raises `StageCrashed`, `TimeoutError`, `UnsupportedLanguage`, `StageRefused`."""
        key = self._keys.get(StageName(stage.name))
        if key is None and not context.part:
            raise LookupError(f"no engine with the skill {stage.name}")
        limit = self._limit(stage, context)
        deadline = time.monotonic() + limit
        asked = m.RunStage(
            stage=stage.name,
            part=context.part,
            key=key,
            path=str(context.path),
            track=context.track,
            request=context.request,
        )
        try:
            line = self._line or self._started()
            line.send(asked, codec.encode(context.transcript), self._engine_config.stage_timeout)
            message, payload = self._answer(line, deadline, limit, context)
        except (OSError, EOFError, ValueError) as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise
            raise StageCrashed(f"the process of the stage ended, or sent nonsense: {error}") from error
        match message:
            case m.StageDone():
                if len(payload) > MOST_RESULT:
                    raise StageCrashed(f"a result of {len(payload)} bytes")
                return orjson.loads(payload)
            case m.StageFault(type=type_) if type_ == UNSUPPORTED:
                raise UnsupportedLanguage(context.transcript.language, message.why)
            case m.StageFault(type=type_) if type_:
                raise StageRefused(type_, message.why)
            case m.StageFault():
                raise StageCrashed(message.why)
        self.close()
        raise StageCrashed(f"an answer of the kind {message.kind}")

    def close(self) -> None:
        """End the process."""
        process, line, self._process, self._line = self._process, self._line, None, None
        if line is not None:
            line.close()
        if process is not None:
            with contextlib.suppress(OSError):
                process.kill()
            process.wait()

    def _limit(self, stage: Stage, context: ResultContext) -> float:
        """Seconds that *stage* may take; one that hears the audio has the length of the audio beside those of every stage."""
        seconds = self._engine_config.stage_timeout
        return seconds + context.transcript.duration / RATE if self._hears(stage, context) else seconds

    def _hears(self, stage: Stage, context: ResultContext) -> bool:
        if stage.name == StageName.AUDIO_EVENTS:
            return True
        if not context.part:  # of a translation, which has an engine for each target
            return False
        offers = registry.offered(self._engine_config)
        choice = registry.choose_stage(StageName(stage.name), context.transcript.language, offers, context.part)
        return choice is not None and choice.capabilities.hears

    def _started(self) -> FrameSocket:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [
                sys.executable,
                "-P",
                "-m",
                "sottovoce.inference.stages.host",
                str(theirs.fileno()),
                str(os.getpid()),
            ]
            config = _ENGINE_CONFIG.dump_json(self._engine_config).decode()
            self._process = subprocess.Popen(
                [*command, config], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        self._line = FrameSocket(ours)
        return self._line

    def _answer(
        self, line: FrameSocket, deadline: float, limit: float, context: ResultContext
    ) -> tuple[m.Message, bytes]:
        """Return the next frame; call `alive` meanwhile. Raises `TimeoutError` at *deadline*."""
        while not line.readable(min(SIGN_OF_LIFE, max(0.0, deadline - time.monotonic()))):
            context.alive()
            if time.monotonic() >= deadline:
                raise TimeoutError(f"not done after {limit:g} s")
        # the rest of a frame follows at once from a process that works
        return line.receive(timeout=max(SIGN_OF_LIFE, deadline - time.monotonic()))
