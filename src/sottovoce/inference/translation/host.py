"""The task of a child that translates: sentences of realtime sessions, with the same backends as batch.

A backend that hears gets the sentence as a WAV file in memory, because nothing of a session is written anywhere.
"""

import os
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sottovoce.engines import registry
from sottovoce.engines.config import CHAT, EngineConfig
from sottovoce.engines.engine import EngineKey
from sottovoce.inference import messages as m
from sottovoce.inference.frame_socket import FrameSocket
from sottovoce.intelligence.protocols import Scene, Sentence
from sottovoce.intelligence.stages import StageName
from sottovoce.intelligence.translation import TranslationBackend, translated
from sottovoce.request import TranscriptionRequest
from sottovoce.transcript.model import RATE, Transcript


class TranslationHandler:
    """Translates with the engine *key*, which is loaded now. Raises `EngineUnavailable`."""

    def __init__(self, key: EngineKey, engine_config: EngineConfig) -> None:
        self._key = key
        self._engine_config = engine_config
        self._backend = self._loaded()

    def __call__(self, line: FrameSocket, message: m.Message, payload: bytes) -> None:
        """Answer the task *message*."""
        if not isinstance(message, m.Translate):
            raise TypeError(message.kind)
        if self._key.engine == CHAT:  # its client has one deadline for all that it asks
            self._backend = self._loaded()
        with _media(payload) as path:
            line.send(m.Translated(texts=tuple(translated(_scene(message, path), self._backend, message.target))))

    def _loaded(self) -> TranslationBackend:
        found: TranslationBackend = registry.load(StageName.TRANSLATION, self._key, self._engine_config)
        return found


def _scene(message: m.Translate, path: Path) -> Scene:
    begin = message.lead
    sentences = tuple(
        Sentence(
            id=number,
            start=begin,
            end=begin + message.length,
            text=text,
            words=len(text.split()),
            language=message.language,
        )
        for number, text in enumerate(message.texts)
    )
    return Scene(
        transcript=Transcript(language=message.language, duration=begin + message.length, created_at=0),
        sentences=sentences,
        request=TranscriptionRequest(language=message.language),
        path=path,
        alive=lambda: None,  # the parent watches the deadline
        part=message.target,
    )


@contextmanager
def _media(samples: bytes) -> Iterator[Path]:
    """A WAV file of *samples* (16 bits at 16 kHz) that exists in memory alone, for the body."""
    descriptor = os.memfd_create("sentence", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file, wave.open(file, "wb") as written:
            written.setnchannels(1)
            written.setsampwidth(2)
            written.setframerate(RATE)
            written.writeframes(samples)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
