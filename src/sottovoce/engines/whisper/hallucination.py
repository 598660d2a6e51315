"""What Whisper writes without having heard it, told from what it heard: guards over one chunk's words and scores.

Pure. A chunk that looks wrong is decoded again first; only then may words go, and never one that the model is sure of,
save the repetitions of a loop. Thresholds without a source of their own are ours and were set on made-up hypotheses, not
on recordings (`docs/whisper.md`).
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.transcript.model import RATE, Samples

NO_SPEECH = 0.6
"""More than this probability of no speech … (openai/whisper, `transcribe`: `no_speech_threshold`)"""
UNLIKELY = -1.0
"""… with a mean log probability of tokens under this is silence; alone it is a failed decode (`logprob_threshold`)."""
REPETITIVE = 2.4
"""Text that zlib makes so many times smaller repeats itself (`compression_ratio_threshold`)."""
FULL = 224
"""Tokens after which CTranslate2 ends a decode by itself: half of the model's 448 places."""

SURE = 0.7
"""A word of this probability is never taken for an invention."""
WEAK = 0.5
"""Less than this speaks against a word, and as a mean against a stock phrase or a loop."""
GUESSED = 0.5
"""A text of this mean probability is guessed, so none of it is kept …"""
GUESSED_UNLIKELY = 0.55
"""… nor one of this mean whose tokens are unlikely too …"""
GUESSED_FEW = 0.35
"""… nor one of three words or fewer under this mean, which says less of so few, and of languages that Whisper knows little."""
_FEW = 4
_UNLIKELY_GUESS = -0.85

MAX_WORDS_PER_SECOND = 12.0
"""Words a second that nobody speaks: record holders manage 11 (655 words a minute)."""
MAX_CHARACTERS_PER_SECOND = 30.0
"""The same for scripts without blanks, where a piece of Whisper's text may be a single letter."""
HURRY = 5
"""So many words in a row must be that fast: single words get a length of nothing in honest alignments too."""
LONGEST_PERIOD = 30
"""Words of the longest phrase that is looked for as a loop."""
_REPEATS = 3
_INSTANT: Samples = RATE // 50  # one step of the model's time


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """What a model wrote for one chunk, with its scores: see the thresholds above.

    *text*: as it wrote it; *tokens*: how many, of at most *limit*; *fastest*: the words a second that no speaker reaches in
    this language.
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
        """Whether the decode was ended for its length: what comes after the last word was not written down."""
        return self.tokens >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """*count* times the same *period* words, from index *start* to before *end*; the last time may be broken off."""

    start: int
    period: int
    end: int

    @property
    def count(self) -> int:
        """Whole repetitions."""
        return (self.end - self.start) // self.period


def compression(text: str) -> float:
    """How many times smaller zlib makes *text*: Whisper's measure of repetition; 0 for no text."""
    raw = text.encode("utf-8", "replace")
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def silent(heard: Hypothesis) -> bool:
    """Whether the model itself thinks that nobody spoke, and has no faith in what it wrote either."""
    return heard.no_speech > NO_SPEECH and heard.avg_logprob < UNLIKELY


def unintelligible(heard: Hypothesis, *, well_known: bool = True) -> bool:
    """Whether the model guessed: babble, speech played backwards, or speech that noise drowns.

    *well_known*: the language is one of those that Whisper learned well; in others it is unsure of right words too.

    Measured with Whisper base and tiny.en: clean speech keeps a mean probability over 0.53, text for babble and reversed
    speech seldom reaches 0.5, and of real words in white noise of their own loudness half or more are wrong below it.
    """
    if not heard.words:
        return False
    mean = _mean(heard.words)
    if len(heard.words) < _FEW or not well_known:
        return mean < GUESSED_FEW
    return mean < GUESSED or (mean < GUESSED_UNLIKELY and heard.avg_logprob < _UNLIKELY_GUESS)


def needs_fallback(heard: Hypothesis) -> bool:
    """Whether another decode is worth its time: text that repeats itself, is unlikely, or is too fast to be said."""
    if not heard.words or silent(heard):
        return False
    repetitive = compression(heard.text) > REPETITIVE
    return repetitive or heard.avg_logprob < UNLIKELY or bool(hurried(heard.words, heard.fastest))


def pick_decode(first: Hypothesis, second: Hypothesis) -> Hypothesis:
    """The one to keep: as in Whisper, one that passes, else the likelier of those that do not repeat themselves."""
    if not second.words:
        return first
    if not needs_fallback(second):
        return second
    found = [each for each in (first, second) if compression(each.text) <= REPETITIVE] or [first, second]
    return max(found, key=lambda each: each.avg_logprob)


def filter_words(heard: Hypothesis) -> tuple[HypothesisWord, ...]:
    """The words of *heard* that were said."""
    words = heard.words
    if silent(heard):
        return tuple(word for word in words if word.probability >= SURE)
    words = unlooped(words, heard.fastest, full=heard.full)
    words = without_stock(words, no_speech=heard.no_speech)
    gone = hurried(words, heard.fastest)
    return tuple(word for index, word in enumerate(words) if index not in gone)


def loops(words: Sequence[HypothesisWord]) -> list[Loop]:
    """Phrases said over and over without a word between, first to last; only where zlib finds the repetition striking.

    So `no no no`, `bye bye` and `five five five` are none.
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
    """*words* with each loop that cannot have been said cut to its first round.

    It cannot if it goes faster than speech, if the model is unsure of it, or if it went on until the decode was ended
    (*full*). A chorus of fifteen `la`, sung in time, stays.
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
    """Words a second, from the first one's start to the last one's end."""
    return len(words) * RATE / max(words[-1].end - words[0].start, 1)


def hurried(words: Sequence[HypothesisWord], fastest: float = MAX_WORDS_PER_SECOND) -> frozenset[int]:
    """Indices of weak words in a run of `HURRY` that goes faster than anybody speaks.

    An invention has no sound of its own: the alignment squeezes it into a corner.
    """
    fast = {
        index
        for at in range(len(words) - HURRY + 1)
        if _rate(words[at : at + HURRY]) > fastest
        for index in range(at, at + HURRY)
    }
    return frozenset(index for index in fast if words[index].probability < WEAK)


def without_stock(words: Sequence[HypothesisWord], *, no_speech: float) -> tuple[HypothesisWord, ...]:
    """*words* without the sentences that Whisper learned from subtitles, where little speaks for them.

    Little: a mean probability under `WEAK`; under `SURE` where the model also doubts that there is speech. Of the short
    ones (`Thank you.`), which people say all day, it must both doubt that and have written nothing else.
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
    """How many words of a stock sentence begin at *at*; 0 if none does. It stands between marks that end sentences."""
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


# Reported again and again for music, noise and silence: openai/whisper discussions 679, 928 and 1606, and Barański et al.,
# "Investigation of Whisper ASR Hallucinations Induced by Non-Speech Audio" (2025), who collect them for removal.
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
