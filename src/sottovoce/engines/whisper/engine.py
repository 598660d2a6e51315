"""Whisper on CTranslate2: many languages, punctuation and capitals, word times, language identification.

Each stretch of speech becomes one or more windows of real audio (`windows`), which are decoded until all their speech has
words (`listener`). Windows do not use each other's text, so they can be decoded in parallel, and the result for one depends
on its audio only. Then custom words (`vocabulary`) and missing capitals and marks (`style`) are inserted, and the result
is split into words and marks of the transcript (`word_assembly`).

Parts, in order: constants; `Whisper`, the recogniser; notes for the job's log; loading the model; preparing audio.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sottovoce.audio.activity import ActivityPolicy, Speech
from sottovoce.engines.common import calibration, parallel, word_assembly
from sottovoce.engines.common.hypothesis_word import HypothesisWord
from sottovoce.engines.common.memory import release_memory
from sottovoce.engines.protocols import Capabilities, Hints, Recognized
from sottovoce.engines.whisper import coverage, listener, style, translation, vocabulary
from sottovoce.engines.whisper.coverage import Hole
from sottovoce.engines.whisper.decoder import SHORTEST, Clip, Decoder, Task
from sottovoce.engines.whisper.hallucination import Hypothesis
from sottovoce.engines.whisper.languages import CLEAR, contract_code, whisper_codes
from sottovoce.engines.whisper.stretches import WindowWords, by_stretch
from sottovoce.engines.whisper.vocabulary import Vocabulary
from sottovoce.engines.whisper.windows import ACTIVITY, Window, windows
from sottovoce.errors import EngineUnavailable
from sottovoce.transcript.languages import LanguagePack, pack
from sottovoce.transcript.model import RATE, LanguageScore, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

FILES = ("model.bin", "config.json", "tokenizer.json")
"""Required files of a model: without them it cannot be loaded, or the library would try to download them."""

IDENTIFIED: Samples = 120 * RATE
"""Most speech (120 s) that language identification uses."""

TOP = 10
"""Most languages in the result of an identification (contract §7.3)."""

COMPARED = 4
"""Windows at the beginning of a job whose language is compared with the requested one."""

_COMPUTE_TYPES = {"cpu": ("int8", "float32"), "cuda": ("float16", "int8", "float32")}
_DEVICE = re.compile(r"(cpu)|(cuda)(?::(\d{1,3}))?")
_LEAST_WINDOW = 10  # seconds, the shortest input window of a supported model
_LEAST_COMPARED: Samples = 3 * RATE  # 3 s of speech, the least for a comparison of languages
_ENGLISH = "en"
_END = "<|endoftext|>"  # the first of the control tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """Parameters of one call for every window: the pack of the text, Whisper's languages to choose from, and the custom words.

    *translate*: the text is English, whatever is spoken.
    """

    pack: LanguagePack
    codes: tuple[str, ...]
    vocabulary: Vocabulary
    translate: bool = False

    def task(self, code: str) -> Task:
        """The decode of a window in Whisper's language *code*."""
        return Task(pack=self.pack, code=code, translate=self.translate)


class Whisper:
    """A `Recognizer` and `LanguageIdentifier` with a loaded model from *folder* (CTranslate2's files).

    *device* is `cpu`, `cuda` or `cuda:N`; *compute_type* one of CTranslate2's, or `auto`: int8 on a CPU, float16 on a GPU,
    or the next best if that is not supported. *threads*: of one decode on a CPU, 0 for every core of the process.
    *workers*: decodes that may run at once on a CPU. *batch*: windows that a GPU decodes together. *beam*: beam size.
    Errors: EngineUnavailable if the model, the device or the package is missing or cannot be used.
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
        workers: int = 1,
    ) -> None:
        self._name = capabilities.model
        on_cpu = _device(device)[0] == "cpu"
        self._workers = max(workers, 1) if on_cpu else 1
        self._model = _load(
            folder, self._name, device, compute_type=compute_type, threads=threads, workers=self._workers
        )
        self.decoder = Decoder(self._model, beam=beam, full_window=not on_cpu)
        self._batch = 1 if on_cpu else max(batch, 1)
        self._width: Callable[[], int] = lambda: 1
        self.calibration = _calibration(folder, self._name)
        self._capabilities = replace(
            capabilities,
            languages=frozenset(code for code in capabilities.languages if self.codes(code)),
            identifies_language=capabilities.identifies_language and self._multilingual,
        )

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities given to the constructor, without the languages that the loaded model lacks."""
        return self._capabilities

    @property
    def activity(self) -> ActivityPolicy:
        """How speech is cut for Whisper."""
        return ACTIVITY

    def allow(self, width: Callable[[], int]) -> None:
        """Call *width* before each window for the number of windows that may be decoded at once; at most `workers`."""
        self._width = width

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """Words and marks of the model for each stretch; reads some windows ahead.

        Errors: EngineUnavailable for a language that the model does not support.
        """
        self._require(hints.language)
        job = _Job(pack=pack(hints.language), codes=self.codes(hints.language), vocabulary=Vocabulary(hints.vocab))
        yield from self._recognized(speech, job)

    def translate(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """English words and marks for each stretch, by Whisper's own task, without the custom words of *hints*.

        English speech is transcribed.
        Errors: EngineUnavailable for a language that the model does not support, and for a model of one language.
        """
        if hints.language == _ENGLISH:
            yield from self.recognize(speech, hints)
            return
        self._require(hints.language)
        if not self._multilingual:
            raise EngineUnavailable(f"Whisper {self._name} cannot translate", at="model")
        job = _Job(pack=pack(_ENGLISH), codes=self.codes(hints.language), vocabulary=Vocabulary(()), translate=True)
        yield from self._recognized(speech, job)

    def _require(self, language: str) -> None:
        if language not in self._capabilities.languages:
            raise EngineUnavailable(f"Whisper {self._name} does not support the language {language!r}")

    def _recognized(self, speech: Iterable[Speech], job: _Job) -> Iterator[Recognized]:
        notes = _note_left_out(job.vocabulary)
        for stretch, words, more in by_stretch(self._decoded_windows(speech, job)):
            items = word_assembly.items(words, job.pack, self.calibration)
            yield Recognized(start=stretch.start, end=stretch.end, items=items, notes=(*notes, *more))
            notes = ()
            release_memory()

    def identify(self, speech: Sequence[Speech]) -> tuple[LanguageScore, ...]:
        """The likeliest languages by falling confidence, at most `TOP`, over the first `IDENTIFIED` samples of *speech*.

        The confidence is the mean of the model's probabilities over the windows, weighted by their length.
        Errors: EngineUnavailable for a model of one language.
        """
        if not self._capabilities.identifies_language:
            raise EngineUnavailable(f"Whisper {self._name} cannot identify languages")
        scores: defaultdict[str, float] = defaultdict(float)
        total = 0
        for window in windows(_first_samples(speech, IDENTIFIED)):
            if window.length >= SHORTEST:
                total += window.length
                for code, probability in self.decoder.languages(_clip(window)).items():
                    scores[contract_code(code)] += probability * window.length
        best = sorted(scores.items(), key=lambda each: (-each[1], each[0]))[:TOP]
        return tuple(LanguageScore(language=code, confidence=min(score / total, 1.0)) for code, score in best)

    @property
    def _multilingual(self) -> bool:
        return bool(self._model.model.is_multilingual)

    def codes(self, language: str) -> tuple[str, ...]:
        """Whisper's codes for the contract's *language* that this model has; empty if it lacks the first of them."""
        codes = whisper_codes(language)
        if not self._multilingual:
            return codes if codes == ("en",) else ()
        known = tuple(code for code in codes if self._model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None)
        return known if known[:1] == codes[:1] else ()

    # ── windows ──

    def _decoded_windows(self, speech: Iterable[Speech], job: _Job) -> Iterator[WindowWords]:
        """Every window with its words, in order: in parallel on a CPU, in batches on a GPU."""
        numbered = enumerate(windows(speech))
        if self._batch == 1:
            hear = partial(self._window, job)
            yield from parallel.in_order(lambda each: hear(*each), numbered, self._width, self._workers)
            return
        while group := list(islice(numbered, self._batch)):
            yield from self._group(job, group)

    def _group(self, job: _Job, group: Sequence[tuple[int, Window]]) -> Iterator[WindowWords]:
        """Decode a batch: the first decode of all windows of one language together, further decodes one by one."""
        clips = [_clip(window) for _, window in group]
        chosen = [self._language(number, clip, job) for (number, _), clip in zip(group, clips, strict=True)]
        first: dict[int, Hypothesis] = {}
        for code in dict.fromkeys(code for code, _ in chosen):
            places = [place for place, (other, _) in enumerate(chosen) if other == code]
            found = self.decoder.decode([clips[place] for place in places], job.task(code))
            first.update(zip(places, found, strict=True))
        for place, (_, window) in enumerate(group):
            yield self._words(window, clips[place], job, chosen[place], first[place])

    def _window(self, job: _Job, number: int, window: Window) -> WindowWords:
        clip = _clip(window)
        return self._words(window, clip, job, self._language(number, clip, job), None)

    def _language(self, number: int, clip: Clip, job: _Job) -> tuple[str, tuple[str, ...]]:
        """Whisper's code for window *number*, and a note if the language clearly differs from the requested one."""
        compared = self._multilingual and number < COMPARED and clip.speech >= _LEAST_COMPARED
        if len(job.codes) == 1 and not compared:
            return job.codes[0], ()
        scores = self.decoder.languages(clip)
        code = max(job.codes, key=lambda code: scores.get(code, 0.0))
        best = max(scores, key=lambda each: scores[each], default=code)
        if not compared or best in job.codes or scores[best] < CLEAR:
            return code, ()
        asked, found = contract_code(job.codes[0]), contract_code(best)
        return code, (f"the speech sounds like {found} ({scores[best]:.2f}), but {asked} was requested",)

    def _words(
        self, window: Window, clip: Clip, job: _Job, chosen: tuple[str, tuple[str, ...]], first: Hypothesis | None
    ) -> WindowWords:
        """Decode *window*, then insert custom words, capitals and marks; *first*: its first decode, if already done."""
        code, notes = chosen
        task = job.task(code)
        words, holes, more = self._passage(clip, task, job.vocabulary, first)
        return WindowWords(
            window=window,
            words=tuple(replace(word, start=word.start + window.start, end=word.end + window.start) for word in words),
            notes=(*notes, *more, *(_note_hole(hole, window) for hole in holes)),
        )

    def passage(self, clip: Clip, task: Task, custom: Vocabulary) -> list[HypothesisWord]:
        """The words of *clip*, at most 29 s, with custom words, capitals and marks; times from its start.

        Needs few decodes (`listener.PROMPT`), since a person waits for the words.
        """
        whole = replace(clip, audio=_sanitized(clip.audio))
        return self._passage(whole, task, custom, None, listener.PROMPT)[0]

    def _passage(
        self,
        clip: Clip,
        task: Task,
        custom: Vocabulary,
        first: Hypothesis | None,
        effort: listener.Effort = listener.THOROUGH,
    ) -> tuple[list[HypothesisWord], list[Hole], tuple[str, ...]]:
        holes: list[Hole] = []
        if task.translate:
            words = translation.translated(self.decoder, clip, task, first)
        else:
            words, holes = listener.hear(self.decoder, clip, task, first, effort)
        words = coverage.fitted(words, coverage.with_onsets(clip.voiced), task.pack)
        words, notes = self._customised(words, clip, task, custom)
        if style.plain(words, task.pack):
            words = self._styled(words, clip, task)
        return words, holes, notes

    def _customised(
        self, words: list[HypothesisWord], clip: Clip, task: Task, custom: Vocabulary
    ) -> tuple[list[HypothesisWord], tuple[str, ...]]:
        """*words* with the custom words that a second decode confirms, and notes for the job's log."""
        matches = custom.candidates(words) if custom.entries else []
        chosen = vocabulary.wanted(matches, words)
        if not chosen:
            return words, ()
        tokenizer = self.decoder.tokenizer(task.code)
        tokens, dropped = vocabulary.previous(chosen, task.code, tokenizer.encode, tokenizer.eot)
        if not tokens:
            return words, ()
        other = self.decoder.decode([clip], replace(task, previous=tuple(tokens)))[0]
        notes = (f"{dropped} custom words did not fit into the prompt of one passage",) if dropped else ()
        return vocabulary.adopted(words, other.words, matches), notes

    def _styled(self, words: list[HypothesisWord], clip: Clip, task: Task) -> list[HypothesisWord]:
        """*words* with capitals and marks, from a decode after an example text, else from pauses."""
        example = style.EXAMPLES.get(task.written)
        if example:
            tokens = tuple(self.decoder.tokenizer(task.code).encode(" " + example))
            other = self.decoder.decode([clip], replace(task, previous=tokens))[0]
            found = style.styled(words, other.words)
            if found is not None and not style.plain(found, task.pack):
                return found
        return style.by_pauses(words, task.pack)


def _clip(window: Window) -> Clip:
    return Clip(audio=_sanitized(window.audio), voiced=window.voiced)


def _note_left_out(custom: Vocabulary) -> tuple[str, ...]:
    if not custom.left_out:
        return ()
    most = f"more than {vocabulary.MAX_WORDS} words or {vocabulary.MAX_LETTERS} letters, or no text"
    return (f"{custom.left_out} custom words are not used: {most}",)


def _note_hole(hole: Hole, window: Window) -> str:
    begin, end = ((window.start + at) / RATE for at in (hole.start, hole.end))
    return f"no words in {hole.missed / RATE:.1f} s of speech between {begin:.1f} and {end:.1f} s"


def _load(folder: Path, name: str, device: str, *, compute_type: str, threads: int, workers: int) -> Any:
    """The loaded faster-whisper model. Errors: EngineUnavailable, whose message contains no path."""
    kind, number = _device(device)
    if missing := [file for file in FILES if not (folder / file).is_file()]:
        raise EngineUnavailable(
            f"Whisper {name} is not complete, {missing[0]} is missing: run `sottovoce models pull {name}`", at=None
        )
    try:
        import ctranslate2
        from faster_whisper import WhisperModel

        _require(kind, number, ctranslate2.get_cuda_device_count())
        ctranslate2.set_random_seed(0)  # decodes at a temperature above 0 sample the same texts in every process
        if compute_type == "auto":
            supported = ctranslate2.get_supported_compute_types(kind, number)
            compute_type = next((each for each in _COMPUTE_TYPES[kind] if each in supported), "default")
        model = WhisperModel(
            str(folder),
            device=kind,
            device_index=number,
            compute_type=compute_type,
            cpu_threads=threads or len(os.sched_getaffinity(0)),
            num_workers=workers,
            local_files_only=True,
        )
        _check_model(model, encode=kind == "cuda")
    except EngineUnavailable:
        raise
    except Exception as error:
        raise EngineUnavailable(
            f"Whisper {name} cannot be loaded on {device} as {compute_type}: {type(error).__name__}", at=None
        ) from error
    return model


def _device(device: str) -> tuple[str, int]:
    """*device* as kind and number: `cuda:1` as (cuda, 1). Errors: EngineUnavailable for any other text."""
    match = _DEVICE.fullmatch(device)
    if match is None:
        raise EngineUnavailable(f"no such device: {device!r}; use cpu, cuda or cuda:N", at=None)
    return match[1] or match[2], int(match[3] or 0)


def _require(kind: str, number: int, gpus: int) -> None:
    """Check the device. Errors: EngineUnavailable for a GPU *number* that is not below the number of *gpus*."""
    if kind == "cuda" and number >= gpus:
        raise EngineUnavailable(f"this machine has no GPU {number}; it has {gpus}", at=None)


def _check_model(model: Any, *, encode: bool) -> None:
    """Check that the files of the model match and, with *encode*, that it runs: GPU libraries load at the first run.

    Errors: ValueError, and any exception of the libraries.
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


def _sanitized(audio: "Floats") -> "Floats":
    """*audio* as float32[n] clipped to -1..1, with NaN and infinities replaced by 0."""
    import numpy as np

    return np.clip(np.nan_to_num(audio, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0).astype(np.float32)


def _first_samples(speech: Iterable[Speech], length: Samples) -> Iterator[Speech]:
    """The first *length* samples of *speech*, without its runs of speech."""
    for stretch in speech:
        if length <= 0:
            return
        yield Speech(start=stretch.start, audio=stretch.audio[:length])
        length -= len(stretch.audio)
