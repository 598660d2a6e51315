"""Parakeet and Canary through onnx-asr: punctuated, capitalised text, from model files on this machine alone.

What the library (0.12) gives and what not: a transducer (Parakeet) says for each piece of text in which frame of 80 ms it
was found and how likely it was. Canary's decoder gives no times, so its words share the stretch by their length. In a
batch Canary goes on writing behind the end of the shorter texts, so it hears one stretch at a time.
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

_PROMPTED = "nemo-conformer-aed"  # an encoder-decoder that is told the language
_ARCHITECTURES = ("nemo-conformer-tdt", "nemo-conformer-rnnt", _PROMPTED)
# The library downloads a model that it knows by name and does not find; of an architecture it knows no place to ask.
_KINDS: Mapping[str, str] = {
    "nemo-parakeet-tdt-0.6b-v2": "nemo-conformer-tdt",
    "nemo-parakeet-tdt-0.6b-v3": "nemo-conformer-tdt",
    "nemo-canary-1b-v2": _PROMPTED,
}

_SHORTEST: Samples = RATE // 20  # five frames of features; the library's normalisation divides by their number less one
_FRAME: Samples = samples(0.08)
_TAIL: Samples = (
    4 * _FRAME
)  # a token of a TDT model lasts at most four frames, and nothing says how long the last one did
_BLINK: Samples = RATE // 100  # what a word at the very end of a stretch has at least
_SPECIAL = re.compile(r"\s?<[^<>\s]+>")  # <unk> <pad> <|en|>
_ROUNDING = 1e-3  # how far above 0 a logarithm of a probability may come out


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One token: its text (a leading blank begins a word), its place in the stretch and probability 0..1, where known."""

    text: str
    at: Samples | None = None
    probability: float | None = None


class OnnxAsr:
    """A `Recognizer` with one loaded model; making one runs it once, so that a broken model is known at once.

    *folder* holds the files as onnx-asr names them (`encoder-model.onnx` or `encoder-model.int8.onnx`, its decoder,
    `vocab.txt`, `config.json`), and `calibration.json` where there is one. *kind* is onnx-asr's name of the model or of
    its architecture; for any other name `config.json` decides. *device*: `cpu`, `cuda` or `cuda:N`. *threads* of one
    run, 0 = as onnxruntime likes. *batch*: stretches heard together, which only pays on a GPU, and only there is
    anything read ahead.
    Errors: EngineUnavailable when the package, the files or the device are not what they should be.
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
            self._hear([np.zeros(RATE // 2, np.float32)], min(capabilities.languages))
        except EngineUnavailable:
            raise
        except Exception as error:
            model = capabilities.model
            why = f"{model} cannot be loaded ({type(error).__name__}): run `sottovoce models verify {model}`"
            raise EngineUnavailable(why, at=None) from error

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do, as it was described."""
        return self._capabilities

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """Words and marks for each stretch; a stretch under 50 ms has none. Custom words are not known to these models.

        Errors: EngineUnavailable for a language that the model does not have.
        """
        if hints.language not in self._capabilities.languages:
            raise EngineUnavailable(f"{self._capabilities.model} does not know the language {hints.language!r}")
        rules = pack(hints.language)
        waiting = iter(speech)
        while stretches := list(islice(waiting, self._at_once)):
            long = [stretch for stretch in stretches if len(stretch.audio) >= _SHORTEST]
            heard = iter(self._hear([_clean(stretch.audio) for stretch in long], hints.language))
            for stretch in stretches:
                pieces = next(heard) if len(stretch.audio) >= _SHORTEST else []
                items = transcribed(pieces, stretch.start, stretch.end, rules, self._calibrated)
                yield Recognized(start=stretch.start, end=stretch.end, items=items)

    def _hear(self, audio: "list[Floats]", language: str) -> list[list[Piece]]:
        """The tokens of each of *audio* (float32[n], n >= 800)."""
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
    """Which of the architectures *kind* is. Raises anything for an unknown kind without a readable `config.json`."""
    found = _KINDS.get(kind, kind)
    if found not in _ARCHITECTURES:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    if found not in _ARCHITECTURES:
        known = ", ".join((*_KINDS, *_ARCHITECTURES))
        raise EngineUnavailable(f"{kind} is no kind of model that runs here; there are {known}", at=None)
    return found


def _load(folder: Path, architecture: str, gpu: int | None, threads: int) -> Any:
    """The library's model with timestamps. Raises whatever the library and onnxruntime raise."""
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
        },  # never used: all audio here is 16 kHz
    )
    sessions = [each for each in vars(model.asr).values() if isinstance(each, onnxruntime.InferenceSession)]
    onnx_session.check(sessions, gpu)
    return model.with_timestamps()


def _quantization(folder: Path, gpu: int | None) -> str | None:
    """`int8` where only that is there, or where both are and it is the faster: on a CPU."""
    small, whole = any(folder.glob("encoder-model?int8.onnx")), (folder / "encoder-model.onnx").exists()
    return "int8" if small and (gpu is None or not whole) else None


# ── from tokens to words ──


def _clean(audio: "Floats") -> "Floats":
    import numpy as np

    return np.clip(np.nan_to_num(audio), -1.0, 1.0)


def _pieces(tokens: Sequence[str], seconds: Sequence[float] | None, logprobs: Sequence[float] | None) -> list[Piece]:
    """The library's parallel lists as pieces, without special tokens.

    Probabilities are unknown where there is not one a token, or where they are bare scores (above 0): a decoder may have
    been exported without its softmax, and the library does not see to it.
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
class _Heard:
    """A word as it is written, the marks behind it, the pieces of both, and those that are more than marks (`%` is)."""

    word: str
    marks: tuple[str, ...]
    pieces: tuple[Piece, ...]
    spoken: tuple[Piece, ...]


def transcribed(
    pieces: Sequence[Piece], start: Samples, end: Samples, rules: LanguagePack, calibrated: Calibration = IDENTITY
) -> tuple[Item, ...]:
    """Words and marks, with media times inside the stretch *start* … *end*, in order and without overlap.

    A word begins with its first piece and ends with the next piece behind its last one, at most 0.32 s later. Words
    found in the same frame share its time by their length; so do all, over the whole stretch, where times are unknown.
    Its confidence is the mean probability of its pieces, *calibrated*; that of a mark is as the model gives it.
    """
    heard = _heard(pieces, rules)
    items: list[Item] = []
    for each, (begin, until) in zip(heard, _spans(heard, pieces, end - start), strict=True):
        sure = _probability(each.spoken)
        items.append(
            Word(
                text=each.word,
                start=start + begin,
                end=start + until,
                confidence=None if sure is None else calibrated(sure),
                language=rules.code,
            )
        )
        sure = _probability([piece for piece in each.pieces if not piece.text[-1:].isalnum()])
        items += (split_punctuation.mark(text, start + until, rules, sure) for text in each.marks)
    return tuple(items)


def _heard(pieces: Iterable[Piece], rules: LanguagePack) -> list[_Heard]:
    """Words with their marks; a mark that stands alone goes to the word before, and away where there is none."""
    runs: list[list[Piece]] = []
    for piece in pieces:
        if not runs or piece.text[:1].isspace():
            runs.append([])
        runs[-1].append(piece)
    texts = ["".join(piece.text for piece in run).strip() for run in runs]
    heard: list[_Heard] = []
    for run, text, following in zip(runs, texts, [*texts, ""][1:], strict=True):
        word, marks = split_punctuation.split(text, rules, following)
        if word:
            spoken = tuple(piece for piece in run if split_punctuation.split(piece.text, rules)[0])
            heard.append(_Heard(word=word, marks=marks, pieces=tuple(run), spoken=spoken or tuple(run)))
        elif heard and marks:
            last = heard[-1]
            heard[-1] = replace(last, marks=last.marks + marks, pieces=(*last.pieces, *run))
    return heard


def _spans(heard: Sequence[_Heard], pieces: Iterable[Piece], length: Samples) -> list[tuple[Samples, Samples]]:
    """Where in a stretch of *length* each word begins and ends."""
    sizes = [len(each.word) for each in heard]
    places = [piece.at for piece in pieces if piece.at is not None]
    rough = [_rough(each, places, length) for each in heard]
    found: list[tuple[Samples, Samples]] = []
    while (at := len(found)) < len(heard):
        begin = rough[at][0]
        behind = next((k for k in range(at, len(rough)) if rough[k][0] > begin), len(rough))
        limit = rough[behind][0] if behind < len(rough) else length
        until = min(max(begin + _FRAME, *(last for _, last in rough[at:behind])), limit)
        found += _shared(begin, until, sizes[at:behind])
    return found


def _rough(word: _Heard, places: Sequence[Samples], length: Samples) -> tuple[Samples, Samples]:
    """Beginning and end as *word*'s own pieces have them; all of the stretch when they have none."""
    first, last = word.pieces[0].at, word.spoken[-1].at
    if first is None or last is None:
        return 0, length
    behind = bisect_right(places, last)
    until = min(places[behind] if behind < len(places) else length, last + _TAIL)
    return min(first, length - _BLINK), until


def _shared(begin: Samples, end: Samples, sizes: Sequence[int]) -> Iterator[tuple[Samples, Samples]]:
    """The time from *begin* to *end*, divided in proportion to *sizes*."""
    whole = sum(sizes)
    return pairwise(begin + (end - begin) * said // whole for said in accumulate(sizes, initial=0))


def _probability(pieces: Sequence[Piece]) -> float | None:
    known = [piece.probability for piece in pieces if piece.probability is not None]
    return fmean(known) if known else None
