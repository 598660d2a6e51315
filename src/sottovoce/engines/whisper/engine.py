"""Whisper through faster-whisper: many languages, punctuation and capitals, word times, language identification.

Stretches are packed into chunks of half a minute (`chunks`), decoded a batch at a time by faster-whisper's batched pipeline
as it is, and judged (`hallucination`): a chunk that looks wrong is decoded once more with rising temperature, as Whisper
itself would. What the model then says is put back into the stretches, cleaned of what nobody said, and cut into words and
marks (`pieces`). Chunks are decoded without the text before them, so what is heard in one depends on its audio alone.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sottovoce.audio.activity import Speech
from sottovoce.engines import calibration, chunks, hallucination, pieces, seams
from sottovoce.engines.chunks import Chunk
from sottovoce.engines.hallucination import Hypothesis
from sottovoce.engines.heard import Heard
from sottovoce.engines.protocols import Capabilities, Hints, Recognized
from sottovoce.engines.whisper_languages import contract_code, whisper_codes
from sottovoce.engines.whisper_prompt import prompt
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.languages import LanguagePack, pack
from sottovoce.transcript.model import RATE, LanguageScore, Samples, samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

FILES = ("model.bin", "config.json", "tokenizer.json")
"""Files without which a model cannot be loaded, or the library would go and fetch them."""

TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""For the second decode of a chunk (openai/whisper, `transcribe`); 0 is what the first one had."""

IDENTIFIED: Samples = 120 * RATE
"""Speech that is listened to when the language is identified."""

TOP = 10
"""Languages that an identification tells (contract §7.3)."""

_COMPUTE_TYPES = {"cpu": ("int8", "float32"), "cuda": ("float16", "int8", "float32")}
_DEVICE = re.compile(r"(cpu)|(cuda)(?::(\d{1,3}))?")
_SHORTEST: Samples = RATE // 10
_LEAST_WINDOW = 10  # s
_END = "<|endoftext|>"  # the first of the control tokens
_PARTS = 8  # of a chunk at most, where there is more text than one decode can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What one call of `recognize` asks of every chunk: Whisper's languages to choose from, and its custom words."""

    pack: LanguagePack
    codes: tuple[str, ...]
    prompt: str


class Whisper:
    """A `Recognizer` and `LanguageIdentifier` with a loaded model from *folder* (CTranslate2's files).

    *device* is `cpu`, `cuda` or `cuda:N`; *compute_type* one of CTranslate2's, or `auto`: int8 on a CPU, float16 on a GPU,
    the next best where that is not supported. *threads*: on a CPU, 0 for every core of the process. *batch*: chunks
    decoded together. *beam*: hypotheses kept while searching.
    Errors: EngineUnavailable when the model, the device or the package is not to be had.
    """

    def __init__(
        self,
        folder: Path,
        capabilities: Capabilities,
        *,
        device: str,
        compute_type: str,
        threads: int,
        batch: int,
        beam: int,
    ) -> None:
        self._name = capabilities.model
        self._model = _load(folder, self._name, device, compute_type, threads)
        self._batch = max(batch, 1)
        self._beam = max(beam, 1)
        self._longest: Samples = min(self._model.feature_extractor.n_samples, 30 * RATE)
        self._calibration = _calibration(folder, self._name)
        self._capabilities = replace(
            capabilities,
            languages=frozenset(code for code in capabilities.languages if self._codes(code)),
            identifies_language=capabilities.identifies_language and self._multilingual,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What was announced, without the languages that this model turns out not to have."""
        return self._capabilities

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """Words, and marks as the model sets them, for each stretch; reads one batch of chunks ahead.

        Errors: EngineUnavailable for a language that the model does not have.
        """
        if hints.language not in self._capabilities.languages:
            raise EngineUnavailable(f"Whisper {self._name} does not know the language {hints.language!r}")
        tokenizer = self._model.hf_tokenizer
        words = prompt(
            hints.vocab,
            lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
            tokenizer.token_to_id(_END),
        )
        task = _Task(pack=pack(hints.language), codes=self._codes(hints.language), prompt=words)
        decoded = self._decoded(chunks.pack(speech, self._longest), task)
        for span, heard in chunks.weave(decoded):
            yield Recognized(start=span.start, end=span.end, items=pieces.items(heard, task.pack, self._calibration))

    def identify(self, speech: Sequence[Speech]) -> tuple[LanguageScore, ...]:
        """The likeliest languages by falling confidence, `TOP` at most, over the first `IDENTIFIED` samples of *speech*.

        The mean of the model's probabilities over chunks of half a minute, each as heavy as it is long.
        Errors: EngineUnavailable for a model of one language.
        """
        if not self._capabilities.identifies_language:
            raise EngineUnavailable(f"Whisper {self._name} identifies no language")
        scores: defaultdict[str, float] = defaultdict(float)
        total = 0
        for chunk in chunks.pack(_beginning(speech, IDENTIFIED), self._longest):
            if len(chunk.audio) >= _SHORTEST:
                total += len(chunk.audio)
                for code, probability in self._spoken(chunk.audio):
                    scores[contract_code(code)] += probability * len(chunk.audio)
        best = sorted(scores.items(), key=lambda each: (-each[1], each[0]))[:TOP]
        return tuple(LanguageScore(language=code, confidence=min(score / total, 1.0)) for code, score in best)

    @property
    def _multilingual(self) -> bool:
        return bool(self._model.model.is_multilingual)

    def _codes(self, language: str) -> tuple[str, ...]:
        """Whisper's codes for the contract's *language* as far as this model has them; empty without the first."""
        codes = whisper_codes(language)
        if not self._multilingual:
            return codes if codes == ("en",) else ()
        known = tuple(code for code in codes if self._model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None)
        return known if known[:1] == codes[:1] else ()

    def _spoken(self, audio: "Floats") -> list[tuple[str, float]]:
        """Whisper's codes and their probabilities for at most half a minute of *audio*."""
        _, _, scores = self._model.detect_language(audio=_sound(audio))
        return list(scores)

    def _decoded(self, packed: Iterable[Chunk], task: _Task) -> Iterator[tuple[Chunk, list[Heard]]]:
        """Each chunk with its words, which have times inside it."""
        packed = iter(packed)
        while group := list(islice(packed, self._batch)):
            audios = [_sound(chunk.audio) for chunk in group]
            hypotheses = self._hypotheses(audios, task)
            for chunk, audio, (code, heard) in zip(group, audios, hypotheses, strict=True):
                yield chunk, self._words(audio, code, heard, task)

    def _hypotheses(self, audios: Sequence["Floats"], task: _Task) -> list[tuple[str, Hypothesis]]:
        """For each of *audios* its language (Whisper's code) and what the batched pipeline makes of it."""
        found = [(task.codes[0], _nothing(task)) for _ in audios]
        by_code: defaultdict[str, list[int]] = defaultdict(list)
        for number, audio in enumerate(audios):
            if len(audio) >= _SHORTEST:
                by_code[self._likeliest(audio, task.codes)].append(number)
        for code, numbers in by_code.items():
            heard = self._transcribed([audios[number] for number in numbers], code, task)
            for number, hypothesis in zip(numbers, heard, strict=True):
                found[number] = (code, hypothesis)
        return found

    def _likeliest(self, audio: "Floats", codes: tuple[str, ...]) -> str:
        if len(codes) == 1:
            return codes[0]
        scores = dict(self._spoken(audio))
        return max(codes, key=lambda code: scores.get(code, 0.0))

    def _transcribed(self, audios: Sequence["Floats"], code: str, task: _Task) -> list[Hypothesis]:
        """What the bare engine says of each of *audios*, decoded together."""
        from faster_whisper import BatchedInferencePipeline

        line, clips = _slots(audios)
        segments, _ = BatchedInferencePipeline(self._model).transcribe(
            line,
            language=code,
            beam_size=self._beam,
            batch_size=len(audios),
            clip_timestamps=clips,
            word_timestamps=True,
            hotwords=task.prompt or None,
        )
        frames = self._model.frames_per_second
        by_start: defaultdict[int, list[Any]] = defaultdict(list)
        for segment in segments:
            by_start[segment.seek].append(segment)
        return [_hypothesis(by_start[clip["start"] * frames], clip["start"], task) for clip in clips]

    def _words(self, audio: "Floats", code: str, heard: Hypothesis, task: _Task) -> list[Heard]:
        """The words of one chunk that were said: *heard*, or a better decode, and what was too much text for one."""
        words: list[Heard] = []
        begin = cut = after = 0
        for _ in range(_PARTS):
            if hallucination.doubtful(heard):
                heard = hallucination.better(heard, self._again(audio[begin:], code, task))
            said = hallucination.cleaned(heard, task.prompt)
            placed = [replace(word, start=word.start + begin, end=word.end + begin) for word in said]
            words = seams.merge(words, placed, cut, before=cut - begin, after=after) if words else placed
            advance = said[-1].start - chunks.OVERLAP if said and heard.full else 0
            if advance < chunks.OVERLAP or len(audio) - begin - advance < 2 * chunks.OVERLAP:
                break
            # the last word may be half a word: from it on all is heard again, with a second of what was before
            begin += advance
            cut = begin + chunks.OVERLAP
            after = said[-1].end - said[-1].start + seams.EDGE
            heard = self._transcribed([audio[begin:]], code, task)[0]
        return words

    def _again(self, audio: "Floats", code: str, task: _Task) -> Hypothesis:
        """What Whisper's own fallback makes of *audio*: samples at rising temperature until the text passes its tests."""
        segments, _ = self._model.transcribe(
            audio,
            language=code,
            beam_size=self._beam,
            temperature=TEMPERATURES,
            compression_ratio_threshold=hallucination.REPETITIVE,
            log_prob_threshold=hallucination.UNLIKELY,
            no_speech_threshold=None,  # that is judged with the words in view
            condition_on_previous_text=False,
            without_timestamps=True,
            word_timestamps=True,
            hotwords=task.prompt or None,
        )
        # without time stamps a window is one segment; what comes after it would be its own last second over again
        return _hypothesis([segment for segment in islice(segments, 1) if not segment.seek], 0, task)


def _load(folder: Path, name: str, device: str, compute_type: str, threads: int) -> Any:
    """The model of faster-whisper. Errors: EngineUnavailable, with no word about this machine's folders."""
    kind, number = _device(device)
    if missing := [file for file in FILES if not (folder / file).is_file()]:
        raise EngineUnavailable(
            f"Whisper {name} is not complete, {missing[0]} is missing: run `sottovoce models pull {name}`", at=None
        )
    try:
        import ctranslate2
        from faster_whisper import WhisperModel

        _require(kind, number, ctranslate2.get_cuda_device_count())
        ctranslate2.set_random_seed(0)  # samples of a second decode are the same in every process
        if compute_type == "auto":
            supported = ctranslate2.get_supported_compute_types(kind, number)
            compute_type = next((each for each in _COMPUTE_TYPES[kind] if each in supported), "default")
        model = WhisperModel(
            str(folder),
            device=kind,
            device_index=number,
            compute_type=compute_type,
            cpu_threads=threads or len(os.sched_getaffinity(0)),
            local_files_only=True,
        )
        _try(model, encode=kind == "cuda")
    except EngineUnavailable:
        raise
    except Exception as error:
        raise EngineUnavailable(
            f"Whisper {name} cannot be loaded on {device} as {compute_type}: {type(error).__name__}", at=None
        ) from error
    return model


def _device(device: str) -> tuple[str, int]:
    """`cuda:1` as (cuda, 1). Errors: EngineUnavailable for what is no device."""
    match = _DEVICE.fullmatch(device)
    if match is None:
        raise EngineUnavailable(f"no such device: {device!r}; there are cpu, cuda and cuda:N", at=None)
    return match[1] or match[2], int(match[3] or 0)


def _require(kind: str, number: int, gpus: int) -> None:
    """Errors: EngineUnavailable for a GPU beyond the *gpus* that are there."""
    if kind == "cuda" and number >= gpus:
        raise EngineUnavailable(f"this machine has no GPU {number}; it has {gpus}", at=None)


def _try(model: Any, *, encode: bool) -> None:
    """See whether the files of the model fit together, and with *encode* whether it runs: GPU libraries load that late.

    Errors: ValueError, or whatever the libraries raise.
    """
    import numpy as np

    extractor = model.feature_extractor
    bands = extractor.mel_filters.shape[0]
    if (extractor.sampling_rate, extractor.hop_length, bands) != (RATE, RATE // 100, model.model.n_mels):
        raise ValueError("the features are not those of the model")
    if extractor.chunk_length < _LEAST_WINDOW:
        raise ValueError("the window is too short")
    if model.hf_tokenizer.token_to_id(_END) is None:
        raise ValueError("the tokenizer is not Whisper's")
    if encode:
        model.encode(np.zeros((bands, extractor.nb_max_frames), np.float32))


def _calibration(folder: Path, name: str) -> calibration.Calibration:
    try:
        return calibration.load(folder)
    except (ValueError, OSError) as error:
        raise EngineUnavailable(f"the calibration of Whisper {name} cannot be used: {error}", at=None) from error


def _sound(audio: "Floats") -> "Floats":
    """*audio* as numbers that a model bears: float32 in -1..1, not a number and infinite ones silenced."""
    import numpy as np

    return np.clip(np.nan_to_num(audio, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0).astype(np.float32)


def _slots(audios: Sequence["Floats"]) -> tuple["Floats", list[dict[str, int | float]]]:
    """*audios* one behind the other, and where each begins and ends, in seconds.

    Each begins at a whole second: the pipeline's arithmetic in seconds and frames leaves those exact. There is no room
    between them, because it shortens a first word by how long ago it heard the last one of the audio before.
    """
    import numpy as np

    clips: list[dict[str, int | float]] = []
    at = 0
    for audio in audios:
        # a quarter of a sample, because the pipeline cuts off what is behind the point
        clips.append({"start": at, "end": at + (len(audio) + 0.25) / RATE})
        at += -(-len(audio) // RATE)
    line = np.zeros(at * RATE, np.float32)
    for audio, clip in zip(audios, clips, strict=True):
        first = int(clip["start"]) * RATE
        line[first : first + len(audio)] = audio
    return line, clips


def _nothing(task: _Task) -> Hypothesis:
    return Hypothesis(words=(), text="", avg_logprob=0.0, no_speech=1.0, tokens=0, fastest=_fastest(task))


def _fastest(task: _Task) -> float:
    return hallucination.FASTEST if task.pack.delimiter else hallucination.FASTEST_UNSPACED


def _hypothesis(segments: Sequence[Any], offset: float, task: _Task) -> Hypothesis:
    """faster-whisper's segments of one window that began *offset* seconds into its audio."""
    if not segments:
        return _nothing(task)
    heard = [
        Heard(
            text=word.word,
            start=samples(float(word.start) - offset),
            end=samples(float(word.end) - offset),
            probability=min(max(float(word.probability), 0.0), 1.0),
        )
        for segment in segments
        for word in segment.words or ()
    ]
    return Hypothesis(
        words=tuple(pieces.joined(heard, task.pack)),
        text="".join(segment.text for segment in segments).strip(),
        avg_logprob=float(segments[0].avg_logprob),
        no_speech=float(segments[0].no_speech_prob),
        tokens=sum(len(segment.tokens) for segment in segments),
        fastest=_fastest(task),
    )


def _beginning(speech: Iterable[Speech], length: Samples) -> Iterator[Speech]:
    """The first *length* samples of *speech*."""
    for stretch in speech:
        if length <= 0:
            return
        yield replace(stretch, audio=stretch.audio[:length])
        length -= len(stretch.audio)
