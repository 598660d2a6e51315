"""Detects text that Whisper invents: checks of the words and scores of one chunk.

Pure functions. A suspicious chunk is decoded again first; only then are words removed, and words of high probability only
as repetitions of a loop. Thresholds without a named source were set by this project on synthetic hypotheses, not on
recordings (`docs/whisper.md`).

Parts, in order: thresholds; `Hypothesis` and `Loop`; checks of a whole hypothesis; removal of words; loops; too fast words;
stock phrases.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.transcript.model import RATE, Samples

NO_SPEECH = 0.6
"""Probability of no speech above which a chunk may be silent (openai/whisper, `transcribe`: `no_speech_threshold`)."""
UNLIKELY = -1.0
"""Mean log probability per token. Below it, a decode failed, or with `NO_SPEECH` is silence (`logprob_threshold`)."""
REPETITIVE = 2.4
"""Compression ratio of zlib above which text is repetitive (`compression_ratio_threshold`)."""
FULL = 224
"""Tokens after which CTranslate2 ends a decode: half of the model's 448 positions."""

SURE = 0.7
"""Probability from which a word is never removed as invented, except in a loop."""
WEAK = 0.5
"""Probability below which a word may be removed; also the limit of the mean for a stock phrase or a loop."""
GUESSED = 0.5
"""Mean word probability below which a text counts as guessed, so that none of it is kept."""
GUESSED_UNLIKELY = 0.55
"""The same limit for a text whose mean log probability is below `_UNLIKELY_GUESS`."""
GUESSED_FEW = 0.35
"""The same limit for texts of fewer than `_FEW` words, whose mean says little, and for languages that Whisper learned poorly."""
DOUBTFUL = 0.65
"""Mean word probability below which a text may be made up; also a text below `_UNLIKELY_GUESS`."""
AGREED = 0.5
"""Agreement (0..1) of two decodes from which the second confirms the first."""
_FEW = 4  # words
_UNLIKELY_GUESS = -0.85  # mean log probability per token

MAX_WORDS_PER_SECOND = 12.0
"""Words per second that no speaker reaches: the record is 11 (655 words a minute)."""
MAX_CHARACTERS_PER_SECOND = 30.0
"""The same for scripts without blanks, where a piece of Whisper's text may be a single letter."""
HURRY = 5
"""Words in a row over which the rate is measured: single words may have no duration in correct alignments too."""
LONGEST_PERIOD = 30
"""Words of the longest phrase that is checked for repetition."""
_REPEATS = 3  # repetitions from which a phrase is a loop
_INSTANT: Samples = RATE // 50  # 20 ms, one step of the model's time


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """The text that a model wrote for one chunk, with its scores (see the thresholds above).

    *avg_logprob*: mean log probability per token. *no_speech*: probability 0..1 that there is no speech. *tokens*: number
    of tokens written, at most *limit*. *fastest*: words per second that no speaker reaches in this language.
    """

    words: tuple[HypothesisWord, ...]
    text: str
    avg_logprob: float
    no_speech: float
    tokens: int
    fastest: float = MAX_WORDS_PER_SECOND
    limit: int = FULL

    @property
    def full(self) -> bool:
        """True if the decode reached its limit of tokens, so that later speech is not in it."""
        return self.tokens >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """The same *period* words *count* times, in words[start:end]; the last repetition may be incomplete."""

    start: int
    period: int
    end: int

    @property
    def count(self) -> int:
        """The number of complete repetitions."""
        return (self.end - self.start) // self.period


def compression(text: str) -> float:
    """The compression ratio of *text* with zlib, Whisper's measure of repetition; 0 for empty text."""
    raw = text.encode("utf-8", "replace")
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def silent(hypothesis: Hypothesis) -> bool:
    """True if the model reports no speech (over `NO_SPEECH`) and its text is unlikely too (under `UNLIKELY`)."""
    return hypothesis.no_speech > NO_SPEECH and hypothesis.avg_logprob < UNLIKELY


def unintelligible(hypothesis: Hypothesis, *, well_known: bool = True) -> bool:
    """True if the model guessed: babble, reversed speech, or speech masked by noise.

    *well_known*: Whisper learned the language well; in other languages, correct words have low probabilities too.

    Measured with Whisper base and tiny.en: clean speech has a mean probability over 0.53; text for babble and reversed
    speech seldom reaches 0.5; and below 0.5, half or more of the words of speech in white noise of equal loudness are wrong.
    """
    if not hypothesis.words:
        return False
    mean = _mean(hypothesis.words)
    if len(hypothesis.words) < _FEW or not well_known:
        return mean < GUESSED_FEW
    return mean < GUESSED or (mean < GUESSED_UNLIKELY and hypothesis.avg_logprob < _UNLIKELY_GUESS)


def doubtful(hypothesis: Hypothesis) -> bool:
    """True if the words of *hypothesis* may be made up."""
    return bool(hypothesis.words) and (_mean(hypothesis.words) < DOUBTFUL or hypothesis.avg_logprob < _UNLIKELY_GUESS)


def confirms(other: Hypothesis, hypothesis: Hypothesis) -> bool:
    """True if *other* has the words of *hypothesis*: a model seldom makes up the same words again."""
    keys, others = ([key for word in each.words if (key := comparison_key(word.text))] for each in (hypothesis, other))
    if not keys:
        return True
    same = sum(block.size for block in SequenceMatcher(None, keys, others, autojunk=False).get_matching_blocks())
    return 2 * same >= AGREED * (len(keys) + len(others))


def needs_fallback(hypothesis: Hypothesis) -> bool:
    """True if the chunk should be decoded again: its text is repetitive, unlikely, or faster than speech."""
    if not hypothesis.words or silent(hypothesis):
        return False
    repetitive = compression(hypothesis.text) > REPETITIVE
    return repetitive or hypothesis.avg_logprob < UNLIKELY or bool(hurried(hypothesis.words, hypothesis.fastest))


def pick_decode(first: Hypothesis, second: Hypothesis) -> Hypothesis:
    """The better hypothesis: as in Whisper, *second* if it needs no fallback, else the likelier of those not repetitive."""
    if not second.words:
        return first
    if not needs_fallback(second):
        return second
    found = [each for each in (first, second) if compression(each.text) <= REPETITIVE] or [first, second]
    return max(found, key=lambda each: each.avg_logprob)


def filter_words(hypothesis: Hypothesis) -> tuple[HypothesisWord, ...]:
    """The words of *hypothesis* without those that count as invented."""
    words = hypothesis.words
    if silent(hypothesis):
        return tuple(word for word in words if word.probability >= SURE)
    words = unlooped(words, hypothesis.fastest, full=hypothesis.full)
    words = without_stock(words, no_speech=hypothesis.no_speech)
    gone = hurried(words, hypothesis.fastest)
    return tuple(word for index, word in enumerate(words) if index not in gone)


def loops(words: Sequence[HypothesisWord]) -> list[Loop]:
    """Phrases repeated at least three times without other words between, in order, if their compression is `REPETITIVE`.

    So `no no no`, `bye bye` and `five five five` are not loops.
    """
    keys = [comparison_key(word.text) or word.text for word in words]
    found: list[Loop] = []
    at = 0
    while at < len(keys):
        loop = next(
            (loop for loop in _loops_at(keys, at) if compression(" ".join(keys[at : loop.end])) > REPETITIVE), None
        )
        if loop:
            found.append(loop)
        at = loop.end if loop else at + 1
    return found


def _loops_at(keys: Sequence[str], at: int) -> Iterable[Loop]:
    for period in range(1, min(LONGEST_PERIOD, (len(keys) - at) // _REPEATS) + 1):
        end = at + period
        while end < len(keys) and keys[end] == keys[end - period]:
            end += 1
        loop = Loop(start=at, period=period, end=end)
        if loop.count >= _REPEATS:
            yield loop


def unlooped(
    words: Sequence[HypothesisWord], fastest: float = MAX_WORDS_PER_SECOND, *, full: bool = False
) -> tuple[HypothesisWord, ...]:
    """*words*, with each loop that cannot have been spoken reduced to its first repetition.

    A loop cannot have been spoken if it is faster than speech, if its mean probability is below `WEAK`, or if it continued
    until the decode reached its limit (*full*). A chorus of fifteen `la`, sung in time, is kept.
    """
    kept: list[HypothesisWord] = []
    at = 0
    for loop in loops(words):
        rounds = words[loop.start : loop.end]
        endless = full and loop.end == len(words)
        unsaid = endless or _incredible(rounds, fastest)
        kept += words[at : loop.start + loop.period] if unsaid else words[at : loop.end]
        at = loop.end
    return (*kept, *words[at:])


def _incredible(words: Sequence[HypothesisWord], fastest: float) -> bool:
    instant = sum(word.end - word.start <= _INSTANT for word in words)
    return 2 * instant > len(words) or _rate(words) > fastest or _mean(words) < WEAK


def _mean(words: Sequence[HypothesisWord]) -> float:
    return sum(word.probability for word in words) / max(len(words), 1)


def _rate(words: Sequence[HypothesisWord]) -> float:
    """Words per second, from the start of the first one to the end of the last one."""
    return len(words) * RATE / max(words[-1].end - words[0].start, 1)


def hurried(words: Sequence[HypothesisWord], fastest: float = MAX_WORDS_PER_SECOND) -> frozenset[int]:
    """Indices of words under `WEAK` in a run of `HURRY` words that is faster than *fastest* words per second.

    No audio corresponds to invented words, so the alignment compresses them into a short time.
    """
    fast = {
        index
        for at in range(len(words) - HURRY + 1)
        if _rate(words[at : at + HURRY]) > fastest
        for index in range(at, at + HURRY)
    }
    return frozenset(index for index in fast if words[index].probability < WEAK)


def without_stock(words: Sequence[HypothesisWord], *, no_speech: float) -> tuple[HypothesisWord, ...]:
    """*words* without stock sentences that Whisper learned from subtitles, if their probability is low.

    The limit of the mean probability is `WEAK`, or `SURE` if *no_speech* is over `NO_SPEECH`. Short courtesies
    (`Thank you.`), which are common in speech, are removed only if *no_speech* is over `NO_SPEECH`, their mean is under
    `SURE`, and there is no other text.
    """
    kept: list[HypothesisWord] = []
    at = 0
    while at < len(words):
        count = _stock_at(words, at)
        said = words[at : at + max(count, 1)]
        limit = SURE if no_speech > NO_SPEECH else WEAK
        if not count or _mean(said) >= limit:
            kept += said
        at += len(said)
    alone = "".join(comparison_key(word.text) for word in kept) in _COURTESIES
    return () if alone and no_speech > NO_SPEECH and _mean(kept) < SURE else tuple(kept)


def _stock_at(words: Sequence[HypothesisWord], at: int) -> int:
    """The number of words of the stock sentence that begins at *at*, between sentence ends; 0 if there is none."""
    if at and not _ends_sentence(words[at - 1]):
        return 0
    text = ""
    for count, word in enumerate(words[at:], start=1):
        text += comparison_key(word.text)
        if len(text) > _LONGEST_STOCK:
            return 0
        if text in _STOCK and (_ends_sentence(word) or at + count == len(words)):
            return count
    return 0


def _ends_sentence(word: HypothesisWord) -> bool:
    return word.text.rstrip("\"'”’»)】」 ").endswith((".", "!", "?", "…", "。", "！", "？", "।", "؟", "۔", "♪"))


# Stock phrases, reported for music, noise and silence: openai/whisper discussions 679, 928 and 1606, and Barański et al.,
# "Investigation of Whisper ASR Hallucinations Induced by Non-Speech Audio" (2025), who list them for removal.
_PHRASES = """
thanks for watching | thank you for watching | thank you so much for watching | thanks for watching and see you next time
thank you for watching and see you next time | please subscribe to my channel | please subscribe | like and subscribe
don't forget to like and subscribe | see you in the next video | i'll see you in the next video
subtitles by the amara.org community | subtitles made by the community of amara.org
untertitel der amara.org-community | untertitel im auftrag des zdf für funk, 2017 | untertitelung des zdf, 2020
untertitelung im auftrag des zdf, 2021 | vielen dank fürs zuschauen | bis zum nächsten mal
sous-titres réalisés par la communauté d'amara.org | sous-titres réalisés para la communauté d'amara.org
sous-titrage société radio-canada | sous-titrage st' 501 | merci d'avoir regardé cette vidéo
subtítulos realizados por la comunidad de amara.org | subtítulos por la comunidad de amara.org
gracias por ver el video | suscríbete al canal | legendas pela comunidade amara.org | obrigado por assistir
sottotitoli creati dalla comunità amara.org | sottotitoli e revisione a cura di qtss | grazie per la visione
ondertitels ingediend door de amara.org gemeenschap | bedankt voor het kijken | tv gelderland 2021
napisy stworzone przez społeczność amara.org | dziękuję za oglądanie | titulky vytvořil johnyx
undertexter från amara.org-gemenskapen | tack för att ni tittade | undertekster av ai-media | tekstet av nicolai winther
субтитры сделал dimatorzok | субтитры создавал dimatorzok | продолжение следует | спасибо за просмотр
редактор субтитров а.семкин корректор а.егорова | дякую за перегляд | altyazı m.k. | abone olmayı unutmayın
izlediğiniz için teşekkür ederim | ترجمة نانسي قنقر | اشتركوا في القناة | 시청해 주셔서 감사합니다 | 구독과 좋아요 부탁드립니다
ご視聴ありがとうございました | チャンネル登録お願いします | 次の動画でお会いしましょう | 字幕由amara.org社区提供 | 谢谢观看
请不吝点赞 订阅 转发 打赏支持明镜与点点栏目 | 優優獨播劇場——yoyo television series exclusive | 中文字幕志愿者 杨茜茜
"""
_STOCK = frozenset(comparison_key(phrase) for line in _PHRASES.strip().splitlines() for phrase in line.split("|"))
_LONGEST_STOCK = max(map(len, _STOCK))
_COURTESIES = frozenset(
    map(
        comparison_key,
        (
            "you",
            "thank you",
            "thanks",
            "thank you very much",
            "bye",
            "bye bye",
            "okay",
            "ありがとうございました",
            "감사합니다",
        ),
    )
)
