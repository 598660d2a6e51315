"""Parakeet and Canary through onnx-asr: punctuated, capitalised text, from local model files only.

The output of the library (0.12): a transducer (Parakeet) reports the 80 ms frame and the probability of each token.
Canary's decoder reports no times, so its words share the stretch in proportion to their length. In a batch, Canary
continues to write after the end of the shorter texts, so it decodes one stretch at a time.

Parts, in order: constants and `Piece`; `OnnxAsr`, the recogniser; loading; from tokens to words with times.
"""

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice, pairwise
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sottovoce.engines.common import calibration, onnx_session, split_punctuation
from sottovoce.engines.common.calibration import IDENTITY, Calibration
from sottovoce.engines.protocols import Capabilities, Hints, Recognized, Speech
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.languages import LanguagePack, pack
from sottovoce.transcript.model import RATE, Item, Samples, Word, samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_PROMPTED = "nemo-conformer-aed"  # an encoder-decoder that takes the language as input
_ARCHITECTURES = ("nemo-conformer-tdt", "nemo-conformer-rnnt", _PROMPTED)
# Models by architecture: given a model's name, the library would download missing files; given an architecture, it cannot.
_KINDS: Mapping[str, str] = {
    "nemo-parakeet-tdt-0.6b-v2": "nemo-conformer-tdt",
    "nemo-parakeet-tdt-0.6b-v3": "nemo-conformer-tdt",
    "nemo-canary-1b-v2": _PROMPTED,
}

_SHORTEST_STRETCH: Samples = (
    RATE // 20
)  # 50 ms, five frames of features; the library's normalisation divides by their number - 1
_FRAME: Samples = samples(0.08)  # one output frame of the encoder
# A token of a TDT model lasts at most four frames (0.32 s); the duration of the last one is not reported.
_LONGEST_TOKEN: Samples = 4 * _FRAME
_SHORTEST_WORD: Samples = RATE // 100  # 10 ms, the least duration of a word at the very end of a stretch
_SPECIAL = re.compile(r"\s?<[^<>\s]+>")  # <unk> <pad> <|en|>
_ROUNDING = 1e-3  # largest log probability above 0 that counts as a rounding error


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One token: *text* (a leading blank begins a word), *at* in samples from the start of the stretch, *probability* 0..1.

    *at* and *probability* are None if the model does not report them.
    """

    text: str
    at: Samples | None = None
    probability: float | None = None


class OnnxAsr:
    """A `Recognizer` with one loaded model. The constructor runs it once, so a faulty model fails there.

    *folder* holds the files as onnx-asr names them (`encoder-model.onnx` or `encoder-model.int8.onnx`, its decoder,
    `vocab.txt`, `config.json`), and optionally `calibration.json`. *kind* is onnx-asr's name of the model or of its
    architecture; for any other name, `config.json` decides. *device*: `cpu`, `cuda` or `cuda:N`. *threads* of one run, 0 =
    onnxruntime's default. *batch*: stretches decoded together on a GPU; on a CPU a batch saves no time, so it is 1 there
    and nothing is read ahead.
    Errors: EngineUnavailable if the package or a file is missing or faulty, or the device cannot be used.
    """

    def __init__(
        self, folder: Path, capabilities: Capabilities, *, kind: str, device: str, threads: int, batch: int = 8
    ) -> None:
        import numpy as np

        self._capabilities = capabilities
        gpu = onnx_session.gpu_of(device, "onnx-asr")
        try:
            self._calibrated = _calibration(folder, capabilities.model)
            architecture = _architecture(folder, kind)
            self._prompted = architecture == _PROMPTED
            self._at_once = 1 if gpu is None or self._prompted else max(1, batch)
            self._model = _load(folder, architecture, gpu, threads)
            self._decode([np.zeros(RATE // 2, np.float32)], min(capabilities.languages))
        except EngineUnavailable:
            raise
        except Exception as error:
            model = capabilities.model
            why = f"{model} cannot be loaded ({type(error).__name__}): run `sottovoce models verify {model}`"
            raise EngineUnavailable(why, at=None) from error

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities that the constructor received."""
        return self._capabilities

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """Words and marks for each stretch; a stretch under 50 ms has none. These models do not support custom words.

        Errors: EngineUnavailable for a language that the model does not support.
        """
        if hints.language not in self._capabilities.languages:
            raise EngineUnavailable(f"{self._capabilities.model} does not support the language {hints.language!r}")
        rules = pack(hints.language)
        waiting = iter(speech)
        while stretches := list(islice(waiting, self._at_once)):
            long = [stretch for stretch in stretches if len(stretch.audio) >= _SHORTEST_STRETCH]
            decoded = iter(self._decode([_sanitized(stretch.audio) for stretch in long], hints.language))
            for stretch in stretches:
                pieces = next(decoded) if len(stretch.audio) >= _SHORTEST_STRETCH else []
                items = transcribed(pieces, stretch.start, stretch.end, rules, self._calibrated)
                yield Recognized(start=stretch.start, end=stretch.end, items=items)

    def _decode(self, audio: "list[Floats]", language: str) -> list[list[Piece]]:
        """The tokens of each of *audio* (float32[n] at 16 kHz, n >= 800)."""
        options = {"language": language} if self._prompted else {}
        return [
            _pieces(result.tokens or (), result.timestamps, result.logprobs)
            for result in self._model.recognize(audio, **options)
        ]


# ── loading ──


def _calibration(folder: Path, model: str) -> Calibration:
    try:
        return calibration.load(folder)
    except ValueError as error:
        raise EngineUnavailable(f"{model} cannot be loaded: its {calibration.FILE}: {error}", at=None) from error


def _architecture(folder: Path, kind: str) -> str:
    """The architecture of *kind*.

    Raises `EngineUnavailable` for an unsupported one, and any exception for an unknown kind without a valid `config.json`.
    """
    found = _KINDS.get(kind, kind)
    if found not in _ARCHITECTURES:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    if found not in _ARCHITECTURES:
        known = ", ".join((*_KINDS, *_ARCHITECTURES))
        raise EngineUnavailable(f"{kind} is not a supported model or architecture; use one of {known}", at=None)
    return found


def _load(folder: Path, architecture: str, gpu: int | None, threads: int) -> Any:
    """The library's model with timestamps. Raises `EngineUnavailable`, and any exception of the library and onnxruntime."""
    try:
        import onnx_asr
        import onnxruntime
    except ImportError as error:
        raise EngineUnavailable(
            "Parakeet and Canary need the package onnx-asr: pip install 'sottovoce[onnx-asr]'", at=None
        ) from error
    providers = onnx_session.providers(gpu)
    model = onnx_asr.load_model(
        architecture,
        folder,
        quantization=_quantization(folder, gpu),
        sess_options=onnx_session.options(threads),
        providers=providers,
        resampler_config={
            "sess_options": onnx_session.options(1),
            "providers": [onnx_session.CPU],
        },  # not used: all audio is at 16 kHz
    )
    sessions = [each for each in vars(model.asr).values() if isinstance(each, onnxruntime.InferenceSession)]
    onnx_session.check(sessions, gpu)
    return model.with_timestamps()


def _quantization(folder: Path, gpu: int | None) -> str | None:
    """`int8` if only int8 files are present, or on a CPU, where int8 is faster; None (fp32) otherwise."""
    small, whole = any(folder.glob("encoder-model?int8.onnx")), (folder / "encoder-model.onnx").exists()
    return "int8" if small and (gpu is None or not whole) else None


# ── from tokens to words ──


def _sanitized(audio: "Floats") -> "Floats":
    """*audio* (float32[n]) clipped to -1..1, with NaN replaced by 0."""
    import numpy as np

    return np.clip(np.nan_to_num(audio), -1.0, 1.0)


def _pieces(tokens: Sequence[str], seconds: Sequence[float] | None, logprobs: Sequence[float] | None) -> list[Piece]:
    """The library's parallel lists (text, seconds, log probability per token) as pieces, without special tokens.

    Probabilities are None if their number differs from that of the tokens, or if a value is above 0: a decoder exported
    without its softmax reports raw scores, and the library does not correct them.
    """
    known = logprobs is not None and len(logprobs) == len(tokens) and max(logprobs, default=0.0) < _ROUNDING
    probabilities = [math.exp(min(each, 0.0)) for each in logprobs] if known and logprobs else [None] * len(tokens)
    places = [None] * len(tokens) if seconds is None else [samples(at) for at in seconds]
    return [
        Piece(text=text, at=at, probability=probability)
        for text, at, probability in zip(tokens, places, probabilities, strict=True)
        if not _SPECIAL.fullmatch(text)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _MarkedWord:
    """A word as written, the marks after it, the *pieces* of both, and the *spoken* pieces: not only marks (`%` is spoken)."""

    word: str
    marks: tuple[str, ...]
    pieces: tuple[Piece, ...]
    spoken: tuple[Piece, ...]


def transcribed(
    pieces: Sequence[Piece], start: Samples, end: Samples, rules: LanguagePack, calibrated: Calibration = IDENTITY
) -> tuple[Item, ...]:
    """Words and marks, with media times inside the stretch *start* … *end* (samples), in order and without overlap.

    A word begins at its first piece and ends at the piece after its last one, at most 0.32 s later. Words in the same
    frame share its time in proportion to their length; if times are unknown, all words share the whole stretch. The
    confidence of a word is the mean probability of its pieces, *calibrated*; that of a mark is the model's probability.
    """
    decoded = _marked_words(pieces, rules)
    items: list[Item] = []
    for each, (begin, until) in zip(decoded, _spans(decoded, pieces, end - start), strict=True):
        probability = _probability(each.spoken)
        items.append(
            Word(
                text=each.word,
                start=start + begin,
                end=start + until,
                confidence=None if probability is None else calibrated(probability),
                language=rules.code,
            )
        )
        probability = _probability([piece for piece in each.pieces if not piece.text[-1:].isalnum()])
        items += (split_punctuation.mark(text, start + until, rules, probability) for text in each.marks)
    return tuple(items)


def _marked_words(pieces: Iterable[Piece], rules: LanguagePack) -> list[_MarkedWord]:
    """Words with their marks. A separate mark is attached to the word before it, or dropped if there is none."""
    runs: list[list[Piece]] = []
    for piece in pieces:
        if not runs or piece.text[:1].isspace():
            runs.append([])
        runs[-1].append(piece)
    texts = ["".join(piece.text for piece in run).strip() for run in runs]
    decoded: list[_MarkedWord] = []
    for run, text, following in zip(runs, texts, [*texts, ""][1:], strict=True):
        word, marks = split_punctuation.split(text, rules, following)
        if word:
            spoken = tuple(piece for piece in run if split_punctuation.split(piece.text, rules)[0])
            decoded.append(_MarkedWord(word=word, marks=marks, pieces=tuple(run), spoken=spoken or tuple(run)))
        elif decoded and marks:
            last = decoded[-1]
            decoded[-1] = replace(last, marks=last.marks + marks, pieces=(*last.pieces, *run))
    return decoded


def _spans(decoded: Sequence[_MarkedWord], pieces: Iterable[Piece], length: Samples) -> list[tuple[Samples, Samples]]:
    """Start and end of each word, in samples from the start of a stretch of *length* samples."""
    sizes = [len(each.word) for each in decoded]
    places = [piece.at for piece in pieces if piece.at is not None]
    rough = [_rough_span(each, places, length) for each in decoded]
    found: list[tuple[Samples, Samples]] = []
    while (at := len(found)) < len(decoded):
        begin = rough[at][0]
        behind = next((k for k in range(at, len(rough)) if rough[k][0] > begin), len(rough))
        limit = rough[behind][0] if behind < len(rough) else length
        until = min(max(begin + _FRAME, *(last for _, last in rough[at:behind])), limit)
        found += _shared(begin, until, sizes[at:behind])
    return found


def _rough_span(word: _MarkedWord, places: Sequence[Samples], length: Samples) -> tuple[Samples, Samples]:
    """Start and end of *word* from the times of its pieces, in samples; the whole stretch if they have none."""
    first, last = word.pieces[0].at, word.spoken[-1].at
    if first is None or last is None:
        return 0, length
    behind = bisect_right(places, last)
    until = min(places[behind] if behind < len(places) else length, last + _LONGEST_TOKEN)
    return min(first, length - _SHORTEST_WORD), until


def _shared(begin: Samples, end: Samples, sizes: Sequence[int]) -> Iterator[tuple[Samples, Samples]]:
    """The time from *begin* to *end* (samples), divided in proportion to *sizes*."""
    whole = sum(sizes)
    return pairwise(begin + (end - begin) * said // whole for said in accumulate(sizes, initial=0))


def _probability(pieces: Sequence[Piece]) -> float | None:
    """The mean probability 0..1 of *pieces*; None if none has one."""
    known = [piece.probability for piece in pieces if piece.probability is not None]
    return fmean(known) if known else None
