"""Baselines: engines called directly, each in a process of its own, without the service.

`prototype` is the method that the PocketSphinx adapter was developed from: faster-whisper's decoder and speech detector, then
each stretch with batch mean normalisation and default settings. `bare` is the library's own call for a whole file; for Whisper
that is one sequential call with word times. `bare-batched` is faster-whisper's batched pipeline, `bare-vad` the sequential
call with the library's own speech detector.

Parts: results (`Run`), PocketSphinx, engines with models, the process (`Bare`), the evidence for a confidence (`evidence`).
"""

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench import machine
from sottovoce.engines.config import EngineConfig
from sottovoce.transcript.languages import pack


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One word as an engine writes it; its confidence 0..1 and its start in seconds, if the engine gives them."""

    text: str
    confidence: float | None = None
    start: float | None = None


Call = Callable[[Path, str, Sequence[str]], list[Spoken]]
"""A loaded engine: maps a file, the contract's code of its language, and custom words to the recognised words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The result of one file and its cost: seconds of processor time and of wall time, peak resident bytes so far.

    *text* is the whole text with its marks, if the method returns marks apart from the words.
    """

    words: tuple[Spoken, ...]
    cpu: float
    wall: float
    peak: int
    text: str = ""

    @property
    def written(self) -> str:
        """The whole text."""
        return self.text or " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The selected *method* of an engine, with model and device."""

    method: str
    engine: str
    model: str
    device: str
    engine_config: EngineConfig


class NoBaseline(Exception):
    """The engine has no such method."""


# ── PocketSphinx ──


def _prototype(_: Wanted) -> Call:
    import numpy as np
    from faster_whisper.audio import decode_audio
    from faster_whisper.vad import VadOptions, get_speech_timestamps
    from pocketsphinx import Config, Decoder

    decoder = Decoder(Config(loglevel="FATAL"))
    options = VadOptions(
        threshold=0.5,
        min_silence_duration_ms=300,
        speech_pad_ms=150,
        max_speech_duration_s=20,
        min_speech_duration_ms=100,
    )

    def transcribe(path: Path, _language: str, _vocab: Sequence[str]) -> list[Spoken]:
        audio = decode_audio(str(path))
        pcm = (np.clip(audio, -1, 1) * 32_767).astype("<i2")
        found: list[Spoken] = []
        for part in get_speech_timestamps(audio, options):
            found += _decoded(decoder, pcm[part["start"] : part["end"]].tobytes())
        return found

    return transcribe


def _whole(_: Wanted) -> Call:
    import numpy as np
    from faster_whisper.audio import decode_audio
    from pocketsphinx import Config, Decoder

    decoder = Decoder(Config(loglevel="FATAL"))

    def transcribe(path: Path, _language: str, _vocab: Sequence[str]) -> list[Spoken]:
        audio = decode_audio(str(path))
        return _decoded(decoder, (np.clip(audio, -1, 1) * 32_767).astype("<i2").tobytes())

    return transcribe


def _decoded(decoder: Any, pcm: bytes) -> list[Spoken]:
    decoder.start_utt()
    decoder.process_raw(pcm, no_search=False, full_utt=True)
    decoder.end_utt()
    if decoder.hyp() is None:
        return []
    words = [seg for seg in decoder.seg() or () if not seg.word.startswith(("<", "[", "+"))]
    return [Spoken(text=re.sub(r"\(\d+\)$", "", seg.word), confidence=min(max(seg.prob, 0.0), 1.0)) for seg in words]


# ── engines with models ──


def _whisper_model(wanted: Wanted) -> Any:
    from faster_whisper import WhisperModel

    from sottovoce.engines.models.store import ModelStore

    engine_config = wanted.engine_config
    kind, _, number = wanted.device.partition(":")
    compute = (
        {"cpu": "int8", "cuda": "float16"}[kind] if engine_config.compute_type == "auto" else engine_config.compute_type
    )
    return WhisperModel(
        str(ModelStore(engine_config.models).path(wanted.model)),
        device=kind,
        device_index=int(number or 0),
        compute_type=compute,
        cpu_threads=engine_config.threads,
        local_files_only=True,
    )


def _whisper(wanted: Wanted) -> Call:
    return _whisper_call(_whisper_model(wanted), beam_size=wanted.engine_config.beam)


def _whisper_vad(wanted: Wanted) -> Call:
    return _whisper_call(_whisper_model(wanted), beam_size=wanted.engine_config.beam, vad_filter=True)


def _whisper_batched(wanted: Wanted) -> Call:
    from faster_whisper import BatchedInferencePipeline

    pipeline = BatchedInferencePipeline(_whisper_model(wanted))
    return _whisper_call(pipeline, beam_size=wanted.engine_config.beam, batch_size=wanted.engine_config.batch)


def _whisper_call(model: Any, **options: Any) -> Call:
    """One call of *model* for each file, with word times; custom words are passed as `hotwords`."""
    from sottovoce.engines.whisper.languages import whisper_codes

    def transcribe(path: Path, language: str, vocab: Sequence[str]) -> list[Spoken]:
        code = next(iter(whisper_codes(language)), None)
        hotwords = ", ".join(vocab) or None
        segments, _ = model.transcribe(str(path), language=code, word_timestamps=True, hotwords=hotwords, **options)
        words = [word for segment in segments for word in segment.words or ()]
        return joined([(word.word, float(word.probability), float(word.start)) for word in words], language)

    return transcribe


def joined(pieces: Sequence[tuple[str, float, float]], language: str) -> list[Spoken]:
    """Words made of *pieces* (text, confidence, start): a piece without a leading blank belongs to the word before.

    faster-whisper cuts `1,813` and `well-known` in two. The confidence of a word is the mean of its pieces.
    """
    words: list[list[tuple[str, float, float]]] = []
    for piece in pieces:
        if words and pack(language).delimiter and not piece[0].startswith(" "):
            words[-1].append(piece)
        else:
            words.append([piece])
    return [
        Spoken(
            text="".join(text for text, _, _ in word).strip(),
            confidence=sum(sure for _, sure, _ in word) / len(word),
            start=word[0][2],
        )
        for word in words
    ]


def _onnx_asr(wanted: Wanted) -> Call:
    import onnx_asr
    from faster_whisper.audio import decode_audio

    from sottovoce.engines.models.catalogue import CATALOGUE
    from sottovoce.engines.models.store import ModelStore

    folder = ModelStore(wanted.engine_config.models).path(wanted.model)
    name = f"nemo-{wanted.model}"
    if wanted.model not in CATALOGUE:  # the library identifies it by its architecture
        name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    small = (folder / "encoder-model.int8.onnx").exists()
    kind, _, number = wanted.device.partition(":")
    model: Any = onnx_asr.load_model(
        name,
        folder,
        quantization="int8" if small else None,
        providers=[("CUDAExecutionProvider", {"device_id": int(number or 0)})] if kind == "cuda" else None,
    )

    def transcribe(path: Path, language: str, _vocab: Sequence[str]) -> list[Spoken]:
        options = {"language": language} if "canary" in name or "aed" in name else {}
        text = model.recognize(decode_audio(str(path)), **options)
        return [Spoken(text=word) for word in text.split()]

    return transcribe


_METHODS: dict[tuple[str, str], Callable[[Wanted], Call]] = {
    ("pocketsphinx", "prototype"): _prototype,
    ("pocketsphinx", "bare"): _whole,
    ("whisper", "bare"): _whisper,
    ("whisper", "bare-batched"): _whisper_batched,
    ("whisper", "bare-vad"): _whisper_vad,
    ("onnx-asr", "bare"): _onnx_asr,
}


def method_for(engine: str, wanted: str | None) -> str:
    """The method *wanted*, or the first one of *engine*; `none` for an engine without any. Raises `NoBaseline`."""
    known = [method for name, method in _METHODS if name == engine]
    if wanted is None:
        return known[0] if known else "none"
    if wanted != "none" and wanted not in known:
        raise NoBaseline(f"no baseline {wanted!r} for {engine} (there is: {', '.join([*known, 'none'])})")
    return wanted


# ── the process ──

_loaded: list[Call] = []


def _load(wanted: Wanted) -> None:
    _loaded.append(_METHODS[wanted.engine, wanted.method](wanted))


def _transcribe(path: Path, language: str, vocab: Sequence[str]) -> Run:
    cpu, wall = time.process_time(), time.monotonic()
    words = tuple(_loaded[0](path, language, vocab))
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    return Run(words=words, cpu=cpu, wall=wall, peak=machine.peak_rss(os.getpid()))


class Bare:
    """One process that holds the engine; the constructor loads the engine. Raises the engine's own errors."""

    def __init__(self, wanted: Wanted) -> None:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in the service's own processes
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        self._process = ProcessPoolExecutor(1, get_context("spawn"))
        try:
            self._process.submit(_load, wanted).result()
            self.pid = self._process.submit(os.getpid).result()
        except BaseException:
            self.close()
            raise

    def transcribe(self, path: Path, language: str, vocab: Sequence[str] = ()) -> Run:
        """The words that the engine recognises in *path*. Raises the engine's own errors."""
        return self._process.submit(_transcribe, path, language, tuple(vocab)).result()

    def close(self) -> None:
        """End the process."""
        self._process.shutdown(cancel_futures=True)


# ── evidence for a confidence ──


def _pocketsphinx_evidence(paths: Sequence[Path]) -> list[list[tuple[str, tuple[float, ...]]]]:
    from sottovoce.audio import activity, media
    from sottovoce.engines.common.silero_vad import SileroVad
    from sottovoce.engines.pocketsphinx.recognizer import PocketSphinx

    engine = PocketSphinx()
    found: list[list[tuple[str, tuple[float, ...]]]] = []
    for path in paths:
        speech = activity.segments((block[0] for block in media.decode(path)), SileroVad(), activity.ActivityPolicy())
        found.append([(heard.word, tuple(heard.evidence)) for part in speech for heard in engine.evidence(part)])
    return found


def evidence(paths: Sequence[Path]) -> list[list[tuple[str, tuple[float, ...]]]]:
    """The words that PocketSphinx recognises in each of *paths*, cut as in the service, with the evidence for each word."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_pocketsphinx_evidence, paths).result()
