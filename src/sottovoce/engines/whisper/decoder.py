"""One decode of Whisper: audio in, words with times and probabilities out, by CTranslate2's `encode`, `generate`, `align`.

faster-whisper loads the model and computes features and tokens. Its `transcribe` is not used, because it pads every decode
to 30 s, although CTranslate2 encodes any even number of frames, at a fifteenth of the cost for 4 s (research `streaming.md`
§1).

Parts, in order: constants; `Clip` and `Task`; `Decoder`; from CTranslate2's result to tokens and words; empty results.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sottovoce.audio.activity import Span
from sottovoce.engines.common import word_assembly
from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.engines.whisper import hallucination, loops
from sottovoce.engines.whisper.hallucination import Hypothesis
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

PAD: Samples = RATE
"""Zeros appended to the audio (1 s). With fewer, the model repeats its last words; with more, it loses some (`streaming.md` §2)."""

FRAME: Samples = RATE // 100
"""Samples per frame of features (10 ms)."""

SHORTEST: Samples = RATE // 10
"""Audio shorter than this (0.1 s) is not decoded: no word is that short."""

_STEP: Samples = RATE // 50  # 20 ms, one step of the model's time
_EXHAUSTED: Samples = (
    RATE * 6 // 100
)  # a live word that begins in the last 60 ms of the audio is invented (`streaming.md` §2)
_SLACK: Samples = RATE // 10  # 0.1 s by which a time stamp may precede the end of its speech
_BLANK_STAMPS = 50  # steps (1 s) in which the first time stamp must lie (openai/whisper, `max_initial_timestamp`)
_SAMPLED = 5  # texts sampled at a temperature above 0; the likeliest is used (openai/whisper, `best_of`)
_MEDIAN = 7  # steps over which attention is smoothed (openai/whisper, `find_alignment`)

# Most tokens per second of speech, by language (Whisper's codes); a longer decode is a loop.
_PER_SECOND = 9.0
_PER_SECOND_MORE = 14.0
_PER_SECOND_MOST = 25.0
_MORE = "ba be bg el he ja ko mk mn ru sr tg tt uk yue zh ar fa ur hy vi"
_MOST = "am as bn bo gu hi ka kn km lo ml mr my ne pa sa sd si ta te th yi"
_RATES = {**dict.fromkeys(_MORE.split(), _PER_SECOND_MORE), **dict.fromkeys(_MOST.split(), _PER_SECOND_MOST)}
_ALWAYS = 16  # additional tokens of every decode, for time stamps and the like


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Audio to decode: float32[n] at 16 kHz, at most 29 s, and the runs of speech in it, in samples from its start.

    Without *voiced*, the text may extend to the end of the audio.
    """

    audio: "Floats"
    voiced: tuple[Span, ...]

    @property
    def length(self) -> Samples:
        """Samples of audio."""
        return len(self.audio)

    @property
    def speech(self) -> Samples:
        """Samples of speech in it."""
        return sum(run.end - run.start for run in self.voiced)

    def part(self, start: Samples, end: Samples) -> "Clip":
        """The part of the clip from *start* to *end*, in samples."""
        runs = (Span(start=max(run.start, start) - start, end=min(run.end, end) - start) for run in self.voiced)
        return Clip(audio=self.audio[start:end], voiced=tuple(run for run in runs if run.end > run.start))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Parameters of a decode: the language as a *pack* and as Whisper's *code*, and *previous*, tokens of preceding text.

    With *translate* the text is English, and so is *pack*; *code* is the language that is spoken. Without *digits*, numbers are
    written as words.
    """

    pack: LanguagePack
    code: str
    previous: tuple[int, ...] = ()
    translate: bool = False
    digits: bool = True

    @property
    def written(self) -> str:
        """Whisper's code for the language of the text."""
        return "en" if self.translate else self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """Tokens of the text of one decode, before its words have times.

    *written*: the number of tokens with time stamps, at most *limit*. *avg_logprob*: mean log probability per token.
    *no_speech*: probability 0..1 that there is no speech.
    """

    tokens: tuple[int, ...]
    written: int
    avg_logprob: float
    no_speech: float
    limit: int


class Decoder:
    """A loaded faster-whisper model. Thread-safe; the model's `num_workers` limits how many decodes run at once.

    *beam*: beam size, the hypotheses kept during the search. *full_window*: pad every decode to 30 s, as a GPU needs to
    decode several together.
    """

    def __init__(self, model: Any, *, beam: int, full_window: bool) -> None:
        self._model = model
        self._beam = max(beam, 1)
        self._full = full_window
        self._lock = threading.Lock()
        self._last = threading.local()
        self._tokenizers: dict[tuple[str, bool], Any] = {}
        self._suppressed: dict[bool, list[int]] = {}  # by `Task.digits`

    def tokenizer(self, code: str, *, translate: bool = False) -> Any:
        """faster-whisper's tokenizer for Whisper's language *code*, with the control tokens of its task."""
        from faster_whisper.tokenizer import Tokenizer

        with self._lock:
            if (code, translate) not in self._tokenizers:
                known = self._model.hf_tokenizer
                self._tokenizers[code, translate] = Tokenizer(
                    known,
                    self._model.model.is_multilingual,
                    task="translate" if translate else "transcribe",
                    language=code,
                )
                self._suppressed = self._suppressed or _suppressed(self._tokenizers[code, translate])
            return self._tokenizers[code, translate]

    def languages(self, clip: Clip) -> dict[str, float]:
        """Probability 0..1 of each language (Whisper's codes) for *clip*.

        Empty for a clip shorter than `SHORTEST`, and for a model of one language.
        """
        if clip.length < SHORTEST or not self._model.model.is_multilingual:
            return {}
        found = self._model.model.detect_language(self._encoded([clip]))[0]
        return {token.strip("<|>"): float(probability) for token, probability in found}

    def decode(self, clips: Sequence[Clip], task: Task, *, temperature: float = 0.0) -> list[Hypothesis]:
        """One hypothesis for each of *clips*, decoded together; times are in samples from the start of the clip."""
        found = [nothing(task.pack)] * len(clips)
        numbers = [number for number, clip in enumerate(clips) if clip.length >= SHORTEST]
        if not numbers:
            return found
        chosen = [clips[number] for number in numbers]
        encoded = self._encoded(chosen)
        drafts = self._drafts(encoded, chosen, task, temperature)
        for number, hypothesis in zip(numbers, self._placed(encoded, chosen, drafts, task), strict=True):
            found[number] = hypothesis
        return found

    def live(self, audio: "Floats", task: Task, prefix: Sequence[str], *, beam: int) -> tuple[Hypothesis, int]:
        """The hypothesis for *audio* (float32[n], at most 29 s) that begins with the words *prefix*, and the number of these words.

        The decode has no time stamps: the words that are forced replace them. Words that begin at the very end of the audio,
        and repetitions without speech or without time, are left out: there the model goes on writing. The number is that of the
        words of the result that cover *prefix*.
        """
        if len(audio) < SHORTEST:
            return nothing(task.pack), 0
        tokenizer = self.tokenizer(task.code)
        clip = Clip(audio=audio, voiced=(Span(start=0, end=len(audio)),))
        forced = [token for word in prefix for token in tokenizer.encode(task.pack.delimiter + word)]
        encoded = self._encoded([clip])
        prompt = [
            *([tokenizer.sot_prev, *task.previous] if task.previous else []),
            *tokenizer.sot_sequence,
            tokenizer.no_timestamps,
            *forced,
        ]
        most, limit = self._limits(len(audio), task.code, len(prompt))
        (result,) = self._model.model.generate(
            encoded,
            [prompt],
            max_length=most,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=not forced,
            suppress_tokens=self._suppressed[task.digits],
            beam_size=beam,
        )
        written = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
        text = written if written[: len(forced)] == forced else [*forced, *written]
        kept = _unlooped(text, clip, tokenizer, task.pack)
        draft = _Draft(
            tokens=kept if len(kept) >= len(forced) else tuple(forced),
            written=len(text),
            avg_logprob=float(result.scores[0]) * len(written) / (len(written) + 1),
            no_speech=float(result.no_speech_prob),
            limit=limit,
        )
        (hypothesis,) = self._placed(encoded, [clip], [draft], task)
        count = _covering(hypothesis.words, prefix)
        words = _before_exhausted(hypothesis.words, count, len(audio))
        return replace(hypothesis, words=words[: loops.unspoken(words, count, task.pack)]), count

    def _encoded(self, clips: Sequence[Clip]) -> Any:
        """The encoder's output for *clips*. Each thread caches that of its last audio, which is often decoded again."""
        if len(clips) > 1:
            return self._encode([clip.audio for clip in clips])
        if getattr(self._last, "audio", None) is not clips[0].audio:
            self._last.encoded = self._encode([clips[0].audio])
            self._last.audio = clips[0].audio
        return self._last.encoded

    def _encode(self, audios: Sequence["Floats"]) -> Any:
        """The encoder's output for *audios* (float32[n] each), padded to the longest plus `PAD`, or to 30 s."""
        import ctranslate2
        import numpy as np

        extractor = self._model.feature_extractor
        most = extractor.nb_max_frames
        longest = most if self._full else min(most, (max(map(len, audios)) + PAD) // FRAME // 2 * 2)
        features = np.stack(
            [
                extractor(np.pad(audio, (0, max(longest * FRAME - len(audio), 0)))[: longest * FRAME], padding=0)
                for audio in audios
            ]
        )
        return self._model.model.encode(
            ctranslate2.StorageView.from_array(np.ascontiguousarray(features[:, :, :longest], np.float32))
        )

    def _drafts(self, encoded: Any, clips: Sequence[Clip], task: Task, temperature: float) -> list[_Draft]:
        """One draft for each clip: by beam search at *temperature* 0, else the likeliest of `_SAMPLED` sampled texts."""
        tokenizer = self.tokenizer(task.code, translate=task.translate)
        prompt = [*([tokenizer.sot_prev, *task.previous] if task.previous else []), *tokenizer.sot_sequence]
        most, limit = self._limits(max(clip.speech for clip in clips), task.written, len(prompt))
        sampling = {
            "beam_size": 1,
            "num_hypotheses": _SAMPLED,
            "sampling_topk": 0,
            "sampling_temperature": temperature,
        }
        results = self._model.model.generate(
            encoded,
            [prompt] * len(clips),
            max_length=most,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=self._suppressed[task.digits],
            max_initial_timestamp_index=_BLANK_STAMPS,
            **(sampling if temperature else {"beam_size": self._beam}),
        )
        return [_draft(result, clip, tokenizer, task.pack, limit) for result, clip in zip(results, clips, strict=True)]

    def _limits(self, length: Samples, code: str, prompt: int) -> tuple[int, int]:
        """CTranslate2's `max_length` for *length* samples of speech, and the most tokens that it then writes.

        It writes at most half of `max_length`, and at most `max_length` less the *prompt* tokens (CTranslate2 4.8,
        `whisper.cc`).
        """
        wanted = int(length / RATE * _RATES.get(code, _PER_SECOND)) + _ALWAYS
        most = min(self._model.max_length, max(2 * wanted, prompt + wanted))
        return most, min(most // 2, most - prompt)

    def _placed(self, encoded: Any, clips: Sequence[Clip], drafts: Sequence[_Draft], task: Task) -> list[Hypothesis]:
        """The hypotheses of *drafts*: aligns their tokens with the audio to get the times of words."""
        tokenizer = self.tokenizer(task.code, translate=task.translate)
        texts = [list(draft.tokens) for draft in drafts]
        alignments: list[Any] = [None] * len(texts)
        if any(texts):
            # Only the frames of the audio: with the padding, the last word would extend into the zeros.
            frames = [max(clip.length // FRAME, 2) for clip in clips]
            alignments = self._model.model.align(
                encoded,
                tokenizer.sot_sequence,
                [text or [tokenizer.eot] for text in texts],
                frames,
                median_filter_width=_MEDIAN,
            )
        return [
            Hypothesis(
                words=tuple(word_assembly.joined(_words(tokenizer, text, aligned), task.pack)) if text else (),
                text=tokenizer.decode(text).strip(),
                avg_logprob=draft.avg_logprob,
                no_speech=draft.no_speech,
                tokens=draft.written,
                limit=draft.limit,
                fastest=fastest(task.pack),
            )
            for text, draft, aligned in zip(texts, drafts, alignments, strict=True)
        ]


def _draft(result: Any, clip: Clip, tokenizer: Any, pack: LanguagePack, limit: int) -> _Draft:
    """The draft of CTranslate2's *result* for *clip*, without tokens that the model wrote after the end of the speech."""
    written = result.sequences_ids[0]
    return _Draft(
        tokens=_unlooped(_before_end(written, clip, tokenizer), clip, tokenizer, pack),
        written=len(written),
        # The score is a mean over the written tokens; Whisper's measure also counts the end token.
        avg_logprob=float(result.scores[0]) * len(written) / (len(written) + 1),
        no_speech=float(result.no_speech_prob),
        limit=limit,
    )


def _covering(words: Sequence[HypothesisWord], prefix: Sequence[str]) -> int:
    """The number of first *words* that have the letters of *prefix*: two words of it may have become one."""
    letters = sum(len(comparison_key(word)) for word in prefix)
    count = 0
    while letters > 0 and count < len(words):
        letters -= len(comparison_key(words[count].text))
        count += 1
    return count


def _before_exhausted(words: Sequence[HypothesisWord], count: int, length: Samples) -> tuple[HypothesisWord, ...]:
    """*words* up to the first one after *count* that has no audio: it begins at the end of *length*, or two have no duration."""
    for at in range(count, len(words)):
        following = words[at + 1 : at + 2]
        instant = words[at].end - words[at].start <= _STEP
        if words[at].start >= length - _EXHAUSTED or (
            instant and following and following[0].end - following[0].start <= _STEP
        ):
            return tuple(words[:at])
    return tuple(words)


def _before_end(written: Sequence[int], clip: Clip, tokenizer: Any) -> list[int]:
    """The text tokens up to the first time stamp at the end of the speech; later ones repeat the text or are invented."""
    end = (clip.voiced[-1].end if clip.voiced else clip.length) - _SLACK
    text: list[int] = []
    for token in written:
        if token < tokenizer.eot:
            text.append(token)
        elif text and (token - tokenizer.timestamp_begin) * _STEP >= end:
            break
    return text


def _unlooped(text: list[int], clip: Clip, tokenizer: Any, pack: LanguagePack) -> tuple[int, ...]:
    """*text* without those repetitions of a loop at its end for which there is no speech; one is kept."""
    words, tokens = tokenizer.split_to_word_tokens([*text, tokenizer.eot])
    words, tokens = words[:-1], tokens[:-1]
    count = loops.end(words, clip.speech, pack)
    count = loops.stutter(words[:count], clip.speech, pack)
    return tuple(token for part in tokens[:count] for token in part)


def _suppressed(tokenizer: Any) -> dict[bool, list[int]]:
    """Tokens that the model must not write: signs for speakers and sounds, control tokens (as `get_suppressed_tokens`).

    By `Task.digits`: where it is False, also all tokens with digits.
    """
    control = (
        tokenizer.transcribe, tokenizer.translate, tokenizer.sot, tokenizer.sot_prev, tokenizer.sot_lm, tokenizer.no_speech,
    )  # fmt: skip
    always = {*tokenizer.non_speech_tokens, *(token for token in control if token is not None)}
    known = tokenizer.tokenizer
    digits = {token for token in range(tokenizer.eot) if any(sign.isdecimal() for sign in known.decode([token]))}
    return {True: sorted(always), False: sorted(always | digits)}


def _words(tokenizer: Any, text: list[int], aligned: Any) -> list[HypothesisWord]:
    """The pieces of *text* (words or marks, as the tokenizer splits it), with times from attention, in samples."""
    import numpy as np

    texts, tokens = tokenizer.split_to_word_tokens([*text, tokenizer.eot])
    if len(tokens) < 2:  # noqa: PLR2004 - the last one is the end of the text
        return []
    pairs = np.asarray(aligned.alignments, np.int64).reshape(-1, 2)
    jumps = np.concatenate([[True], np.diff(pairs[:, 0]) != 0])
    times = pairs[jumps, 1]
    edges = np.concatenate([[0], np.cumsum([len(part) for part in tokens[:-1]])])
    at = times[np.minimum(edges, len(times) - 1)]
    probabilities = aligned.text_token_probs
    return [
        HypothesisWord(
            text=word,
            start=int(start) * _STEP,
            end=int(end) * _STEP,
            probability=min(max(float(np.mean(probabilities[first:last])), 0.0), 1.0),
        )
        for word, start, end, first, last in zip(texts[:-1], at, at[1:], edges, edges[1:], strict=False)
    ]


def nothing(pack: LanguagePack) -> Hypothesis:
    """The empty hypothesis."""
    return Hypothesis(words=(), text="", avg_logprob=0.0, no_speech=1.0, tokens=0, fastest=fastest(pack))


def fastest(pack: LanguagePack) -> float:
    """Words (in scripts without blanks: characters) per second that no speaker exceeds in the language of *pack*."""
    return hallucination.MAX_WORDS_PER_SECOND if pack.delimiter else hallucination.MAX_CHARACTERS_PER_SECOND
