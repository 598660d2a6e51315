"""The engine of the tests' servers: PocketSphinx, which hears each stretch of speech once in a run of the tests.

Many tests submit the same sample, and recognising it is most of their work. This engine keeps the words of each stretch under a
digest of its samples, place and custom words in a folder of the test run, which all processes of pytest share (`share`), and loads
PocketSphinx only for stretches that are new.
The words are PocketSphinx's own, which hears each stretch without regard to those before; its search follows fewer hypotheses than
in the product, which takes two thirds of the time and writes the same words for almost all samples. Tests about the choice of an engine
set `SOTTOVOCE_ENGINE` themselves.
"""

import atexit
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sottovoce.engines.config import EngineConfig
from sottovoce.engines.pocketsphinx import recognizer
from sottovoce.engines.protocols import Aligner, Capabilities, Hints, Recognized, Skill, Speech
from sottovoce.engines.registry import Engine
from sottovoce.transcript import codec

NAME = "tests.remembered:ENGINE"
CAPABILITIES = replace(recognizer.CAPABILITIES, skills=frozenset({Skill.TRANSCRIPTION, Skill.ALIGNMENT}))
"""Those of PocketSphinx without live audio: a server loads an engine for live sessions at its start if it has one."""
_FOLDER = "REMEMBERED_FOLDER"
_SEARCH = {"maxhmmpf": 3000, "maxwpf": 10}
"""Most states and words that end, of a frame; the library allows 30000 states and any number of words."""


def share() -> None:
    """Make the folder of this run, unless a parent process has made it. Processes that this one starts inherit it."""
    if _FOLDER not in os.environ:
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="sottovoce-heard-")
        atexit.register(shutil.rmtree, os.environ[_FOLDER], ignore_errors=True)


def environment() -> dict[str, str]:
    """The environment of a server that uses this engine."""
    share()
    return {"SOTTOVOCE_ENGINE": NAME, _FOLDER: os.environ[_FOLDER]}


class Remembered:
    """A `Recognizer` with the words of `PocketSphinx`."""

    def __init__(self) -> None:
        self._folder = Path(os.environ[_FOLDER])

    @functools.cached_property
    def _inner(self) -> recognizer.PocketSphinx:
        recognizer.__dict__["load_decoder"] = _quick_decoder
        return recognizer.PocketSphinx()

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """Yield what is known of each stretch, or what PocketSphinx hears in it."""
        for stretch in speech:
            kept = self._folder / _digest(stretch, hints)
            if kept.exists():
                items = codec.load_items(kept.read_bytes())
                yield Recognized(start=stretch.start, end=stretch.end, items=items)
                continue
            for heard in self._inner.recognize([stretch], hints):
                _keep(kept, codec.dump_items(heard.items))
                yield heard


def _quick_decoder() -> Any:
    from pocketsphinx import Config, Decoder

    return Decoder(Config(loglevel="FATAL", **_SEARCH))


def _digest(stretch: Speech, hints: Hints) -> str:
    digest = hashlib.sha256(stretch.audio.tobytes())
    digest.update(repr((stretch.start, stretch.end, hints.language, hints.vocab)).encode())
    return digest.hexdigest()


def _keep(path: Path, content: bytes) -> None:
    """Write *path* in one step: several processes may hear the same stretch."""
    own = path.with_suffix(f".{os.getpid()}")
    own.write_bytes(content)
    own.replace(path)


def _load(_model: str, _device: str, _engine_config: EngineConfig) -> Remembered:
    return Remembered()


def _align(_model: str, _device: str, _engine_config: EngineConfig) -> Aligner:
    from sottovoce.engines.pocketsphinx.aligner import PocketSphinxAligner

    return PocketSphinxAligner()


ENGINE = Engine(name="pocketsphinx", package="pocketsphinx", offers=lambda _: (CAPABILITIES,), load=_load, align=_align)
