"""Whisper on CTranslate2: many languages, punctuation and capitals, word times, language identification.

Each stretch of speech becomes one window of real audio (`windows`), which is heard until all its speech has words
(`listener`). Windows do not know each other's text, so they can be heard at once, and what is heard in one depends on its
audio alone. Then custom words (`vocabulary`) and, where they are missing, capitals and marks (`style`) are put in, and the
words are cut into words and marks of the transcript (`pieces`).
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

from sottovoce.audio.activity import ActivityPolicy, Span, Speech
from sottovoce.engines.common import calibration, overlap_merge, word_assembly
from sottovoce.engines.common.hypothesis_word import HypothesisWord
from sottovoce.engines.protocols import Capabilities, Hints, Recognized
from sottovoce.engines.whisper import coverage, listener, parallel, style, vocabulary
from sottovoce.engines.whisper.coverage import Hole
from sottovoce.engines.whisper.decoder import SHORTEST, Clip, Decoder, Task
from sottovoce.engines.whisper.hallucination import Hypothesis
from sottovoce.engines.whisper.languages import contract_code, whisper_codes
from sottovoce.engines.whisper.memory import release_memory
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
"""Files without which a model cannot be loaded, or the library would go and fetch them."""

IDENTIFIED: Samples = 120 * RATE
"""Speech that is listened to when the language is identified."""

TOP = 10
"""Languages that an identification tells (contract §7.3)."""

COMPARED = 4
"""Windows at the beginning of a job whose language is held against the one that was asked for."""

CLEAR = 0.9
"""Probability from which on another language than the one asked for is told in the job's log."""

_COMPUTE_TYPES = {"cpu": ("int8", "float32"), "cuda": ("float16", "int8", "float32")}
_DEVICE = re.compile(r"(cpu)|(cuda)(?::(\d{1,3}))?")
_LEAST_WINDOW = 10  # s
_LEAST_COMPARED: Samples = 3 * RATE
_END = "<|endoftext|>"  # the first of the control tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What one call of `recognize` asks of every window: Whisper's languages to choose from, and its custom words."""

    pack: LanguagePack
    codes: tuple[str, ...]
    vocabulary: Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listened:
    """A window and the words in it, with media times, and what the job's log should say."""

    window: Window
    words: tuple[HypothesisWord, ...]
    notes: tuple[str, ...]


class Whisper:
    """A `Recognizer` and `LanguageIdentifier` with a loaded model from *folder* (CTranslate2's files).

    *device* is `cpu`, `cuda` or `cuda:N`; *compute_type* one of CTranslate2's, or `auto`: int8 on a CPU, float16 on a GPU,
    the next best where that is not supported. *threads*: of one decode on a CPU, 0 for every core of the process.
    *workers*: decodes that may go on at once on a CPU. *batch*: windows that a GPU decodes together. *beam*: hypotheses kept
    while searching.
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
        workers: int = 1,
    ) -> None:
        self._name = capabilities.model
        on_cpu = _device(device)[0] == "cpu"
        self._workers = max(workers, 1) if on_cpu else 1
        self._model = _load(
            folder, self._name, device, compute_type=compute_type, threads=threads, workers=self._workers
        )
        self._decoder = Decoder(self._model, beam=beam, full_window=not on_cpu)
        self._batch = 1 if on_cpu else max(batch, 1)
        self._width: Callable[[], int] = lambda: 1
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

    @property
    def activity(self) -> ActivityPolicy:
        """How speech is cut for Whisper."""
        return ACTIVITY

    def allow(self, width: Callable[[], int]) -> None:
        """Ask *width* before each window how many may be heard at once; `workers` is the most."""
        self._width = width

    def recognize(self, speech: Iterable[Speech], hints: Hints) -> Iterator[Recognized]:
        """Words, and marks as the model sets them, for each stretch; reads some windows ahead.

        Errors: EngineUnavailable for a language that the model does not have.
        """
        if hints.language not in self._capabilities.languages:
            raise EngineUnavailable(f"Whisper {self._name} does not know the language {hints.language!r}")
        job = _Job(pack=pack(hints.language), codes=self._codes(hints.language), vocabulary=Vocabulary(hints.vocab))
        notes = _left_out(job.vocabulary)
        for stretch, words, more in _woven(self._listened(speech, job)):
            items = word_assembly.items(words, job.pack, self._calibration)
            yield Recognized(start=stretch.start, end=stretch.end, items=items, notes=(*notes, *more))
            notes = ()
            release_memory()

    def identify(self, speech: Sequence[Speech]) -> tuple[LanguageScore, ...]:
        """The likeliest languages by falling confidence, `TOP` at most, over the first `IDENTIFIED` samples of *speech*.

        The mean of the model's probabilities over the windows, each as heavy as it is long.
        Errors: EngineUnavailable for a model of one language.
        """
        if not self._capabilities.identifies_language:
            raise EngineUnavailable(f"Whisper {self._name} identifies no language")
        scores: defaultdict[str, float] = defaultdict(float)
        total = 0
        for window in windows(_beginning(speech, IDENTIFIED)):
            if window.length >= SHORTEST:
                total += window.length
                for code, probability in self._decoder.languages(_clip(window)).items():
                    scores[contract_code(code)] += probability * window.length
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

    # ── windows ──

    def _listened(self, speech: Iterable[Speech], job: _Job) -> Iterator[_Listened]:
        """Every window with its words, in order: several at once on a CPU, in batches on a GPU."""
        numbered = enumerate(windows(speech))
        if self._batch == 1:
            hear = partial(self._window, job)
            yield from parallel.in_order(lambda each: hear(*each), numbered, self._width, self._workers)
            return
        while group := list(islice(numbered, self._batch)):
            yield from self._group(job, group)

    def _group(self, job: _Job, group: Sequence[tuple[int, Window]]) -> Iterator[_Listened]:
        """A batch: the first decode of all windows of one language together, the rest one by one."""
        clips = [_clip(window) for _, window in group]
        chosen = [self._language(number, clip, job) for (number, _), clip in zip(group, clips, strict=True)]
        first: dict[int, Hypothesis] = {}
        for code in dict.fromkeys(code for code, _ in chosen):
            places = [place for place, (other, _) in enumerate(chosen) if other == code]
            found = self._decoder.decode([clips[place] for place in places], Task(pack=job.pack, code=code))
            first.update(zip(places, found, strict=True))
        for place, (_, window) in enumerate(group):
            yield self._words(window, clips[place], job, chosen[place], first[place])

    def _window(self, job: _Job, number: int, window: Window) -> _Listened:
        clip = _clip(window)
        return self._words(window, clip, job, self._language(number, clip, job), None)

    def _language(self, number: int, clip: Clip, job: _Job) -> tuple[str, tuple[str, ...]]:
        """Whisper's code for the language of window *number*, and a note if it clearly is another than was asked for."""
        compared = self._multilingual and number < COMPARED and clip.speech >= _LEAST_COMPARED
        if len(job.codes) == 1 and not compared:
            return job.codes[0], ()
        scores = self._decoder.languages(clip)
        code = max(job.codes, key=lambda code: scores.get(code, 0.0))
        best = max(scores, key=lambda each: scores[each], default=code)
        if not compared or best in job.codes or scores[best] < CLEAR:
            return code, ()
        asked, found = job.pack.code, contract_code(best)
        return code, (f"the speech sounds like {found} ({scores[best]:.2f}), and {asked} was asked for",)

    def _words(
        self, window: Window, clip: Clip, job: _Job, chosen: tuple[str, tuple[str, ...]], first: Hypothesis | None
    ) -> _Listened:
        code, notes = chosen
        task = Task(pack=job.pack, code=code)
        words, unheard = listener.hear(self._decoder, clip, task, first)
        words = coverage.fitted(words, clip.voiced, job.pack)
        words, more = self._customised(words, clip, task, job.vocabulary)
        if style.plain(words, job.pack):
            words = self._styled(words, clip, task)
        return _Listened(
            window=window,
            words=tuple(replace(word, start=word.start + window.start, end=word.end + window.start) for word in words),
            notes=(*notes, *more, *(_unheard(hole, window) for hole in unheard)),
        )

    def _customised(
        self, words: list[HypothesisWord], clip: Clip, task: Task, custom: Vocabulary
    ) -> tuple[list[HypothesisWord], tuple[str, ...]]:
        """*words* with the custom words that the audio supports."""
        matches = custom.candidates(words) if custom.entries else []
        chosen = vocabulary.wanted(matches, words)
        if not chosen:
            return words, ()
        tokenizer = self._decoder.tokenizer(task.code)
        tokens, dropped = vocabulary.previous(chosen, task.code, tokenizer.encode, tokenizer.eot)
        if not tokens:
            return words, ()
        other = self._decoder.decode([clip], replace(task, previous=tuple(tokens)))[0]
        notes = (f"{dropped} custom words did not fit before one passage",) if dropped else ()
        return vocabulary.adopted(words, other.words, matches), notes

    def _styled(self, words: list[HypothesisWord], clip: Clip, task: Task) -> list[HypothesisWord]:
        """*words* with capitals and marks."""
        example = style.EXAMPLES.get(task.code)
        if example:
            tokens = tuple(self._decoder.tokenizer(task.code).encode(" " + example))
            other = self._decoder.decode([clip], replace(task, previous=tokens))[0]
            found = style.styled(words, other.words)
            if found is not None and not style.plain(found, task.pack):
                return found
        return style.by_pauses(words, task.pack)


def _clip(window: Window) -> Clip:
    return Clip(audio=_sound(window.audio), voiced=window.voiced)


def _left_out(custom: Vocabulary) -> tuple[str, ...]:
    if not custom.left_out:
        return ()
    most = f"more than {vocabulary.MAX_WORDS} words or {vocabulary.MAX_LETTERS} letters, or no text"
    return (f"{custom.left_out} custom words are not used: {most}",)


def _unheard(hole: Hole, window: Window) -> str:
    begin, end = ((window.start + at) / RATE for at in (hole.start, hole.end))
    return f"no words in {hole.missed / RATE:.1f} s of speech between {begin:.1f} and {end:.1f} s"


def _woven(heard: Iterable[_Listened]) -> Iterator[tuple[Span, list[HypothesisWord], tuple[str, ...]]]:
    """Every stretch with its words, in order; where speech was cut, the words of both sides are laid over each other."""
    words: list[HypothesisWord] = []
    notes: list[str] = []
    held: _Listened | None = (
        None  # the window before, whose stretch is complete but for words that the next one may have
    )
    before: HypothesisWord | None = None  # the last word that was given out
    for each in heard:
        if held is not None:
            merged = _merged(words, held.window, each) if each.window.joins else [*words, *each.words]
            words = merged
            if held.window.ends:
                count = _until(words, held, each)
                done = _fitted(style.opened(words[:count], before), held.window.stretch)
                yield held.window.stretch, done, tuple(notes)
                before, words, notes = done[-1] if done else before, words[count:], []
        else:
            words = list(each.words)
        notes += each.notes
        held = each
    if held is not None:
        yield held.window.stretch, _fitted(style.opened(words, before), held.window.stretch), tuple(notes)


def _merged(words: list[HypothesisWord], left: Window, right: _Listened) -> list[HypothesisWord]:
    cut = right.window.own.start
    after = left.start + left.length - cut
    return overlap_merge.merge(words, list(right.words), cut, before=cut - right.window.start, after=after)


def _until(words: Sequence[HypothesisWord], held: _Listened, following: _Listened) -> int:
    """How many of *words* belong to the stretch that ends with *held*."""
    if not following.window.joins:
        return len(words) - len(following.words)
    return next((n for n, word in enumerate(words) if word.middle >= held.window.stretch.end), len(words))


def _fitted(words: Iterable[HypothesisWord], span: Span) -> list[HypothesisWord]:
    """*words* inside *span*, none before the end of the one before, none shorter than can be helped."""
    found: list[HypothesisWord] = []
    floor = span.start
    for word in words:
        start = min(max(word.start, floor), span.end)
        floor = min(max(word.end, start + RATE // 50), span.end)
        found.append(replace(word, start=start, end=floor))
    return found


def _load(folder: Path, name: str, device: str, *, compute_type: str, threads: int, workers: int) -> Any:
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
            num_workers=workers,
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


def _beginning(speech: Iterable[Speech], length: Samples) -> Iterator[Speech]:
    """The first *length* samples of *speech*."""
    for stretch in speech:
        if length <= 0:
            return
        yield Speech(start=stretch.start, audio=stretch.audio[:length])
        length -= len(stretch.audio)
