"""Capitals and marks for a passage that the model wrote without them. Pure functions over words.

Now and then Whisper writes a whole window in lower case or without a mark. The window is decoded again with a text before
it that shows how to write; only its capitals and marks are taken over, so no word of that text can get into the transcript.
Where that does not help, pauses make the sentences.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, Samples

SENTENCE: Samples = 7 * RATE // 10
"""A pause of this length ends a sentence, where nothing else shows its end."""

_WORDS = 8  # from which on a passage without a mark is strange
_SIGNS = 14  # the same in scripts without blanks, in letters
_ALIKE = 0.7  # of the letters of a passage must come again, for marks to be taken over

EXAMPLES: Mapping[str, str] = {
    "en": "Good morning, everyone. Shall we begin? Yes, I think so. Let us start with the first point.",
    "de": "Guten Morgen, meine Damen und Herren. Wollen wir anfangen? Ja, gern. Dann beginnen wir mit dem ersten Punkt.",
    "fr": "Bonjour à tous. Est-ce que nous commençons ? Oui, bien sûr. Alors, prenons le premier point.",
    "es": "Buenos días a todos. ¿Empezamos? Sí, claro. Entonces, veamos el primer punto.",
    "it": "Buongiorno a tutti. Cominciamo? Sì, certo. Allora, vediamo il primo punto.",
    "pt": "Bom dia a todos. Vamos começar? Sim, claro. Então, vamos ao primeiro ponto.",
    "nl": "Goedemorgen allemaal. Zullen we beginnen? Ja, graag. Dan nemen we eerst het eerste punt.",
    "sv": "God morgon, allihop. Ska vi börja? Ja, gärna. Då tar vi den första punkten.",
    "pl": "Dzień dobry państwu. Czy możemy zacząć? Tak, oczywiście. Przejdźmy więc do pierwszego punktu.",
    "ru": "Доброе утро, коллеги. Начнём? Да, конечно. Тогда перейдём к первому вопросу.",
    "uk": "Доброго ранку, колеги. Почнемо? Так, звичайно. Тоді перейдемо до першого питання.",
    "tr": "Günaydın, arkadaşlar. Başlayalım mı? Evet, tabii. O zaman ilk konuya geçelim.",
    "zh": "大家早上好。我们开始吧，好吗？好的，先看第一个问题。",
    "yue": "各位早晨。我哋開始，好唔好？好，先睇第一個問題。",
    "ja": "皆さん、おはようございます。それでは、始めましょうか。はい、まず最初の点です。",
    "ko": "여러분, 안녕하세요. 시작할까요? 네, 좋습니다. 그럼 첫 번째 안건부터 보겠습니다.",
}
"""Text that shows how each language is written, by Whisper's codes; our own words."""

_MARKS = frozenset(".,!?;:…。，、？！；：।॥؟،؛")
_STOPS = frozenset(".!?…。？！।॥؟")


def plain(words: Sequence[HypothesisWord], pack: LanguagePack) -> bool:
    """Whether *words* are so many that a mark or a capital must be among them, and none is."""
    letters = sum(len(comparison_key(word.text)) for word in words)
    if (len(words) < _WORDS) if pack.delimiter else (letters < _SIGNS):
        return False
    text = " ".join(word.text for word in words)
    cased = any(char.lower() != char.upper() for char in text)
    return not _MARKS.intersection(text) or (cased and text == text.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """A letter of a passage: as it compares, as it is written, its word and place, and the marks right behind it."""

    key: str
    char: str
    word: int
    place: int
    marks: str


def _letters(words: Sequence[HypothesisWord]) -> Iterator[_Letter]:
    for number, word in enumerate(words):
        text = word.text
        for place, char in enumerate(text):
            if char.isalnum():
                after = text[place + 1 :]
                marks = after if after and all(each in _MARKS for each in after) else ""
                yield _Letter(key=char.casefold()[:1], char=char, word=number, place=place, marks=marks)


def styled(words: Sequence[HypothesisWord], model: Sequence[HypothesisWord]) -> list[HypothesisWord] | None:
    """*words* with the capitals and marks of *model*, another writing of the same passage; None if it is of another one."""
    ours, theirs = list(_letters(words)), list(_letters(model))
    if not ours or not theirs:
        return None
    one, other = ("".join(letter.key for letter in each) for each in (ours, theirs))
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return None
    texts = [list(word.text) for word in words]
    ends = {letter.word: letter.place for letter in ours}
    for block in matcher.get_matching_blocks():
        for ours_at, theirs_at in zip(ours[block.a :][: block.size], theirs[block.b :][: block.size], strict=True):
            word, place = ours_at.word, ours_at.place
            if theirs_at.char.casefold() == ours_at.char.casefold():
                texts[word][place] = theirs_at.char
            if theirs_at.marks and place == ends[word] == len(words[word].text) - 1:
                texts[word].append(theirs_at.marks)
    return [replace(word, text="".join(text)) for word, text in zip(words, texts, strict=True)]


def by_pauses(words: Sequence[HypothesisWord], pack: LanguagePack) -> list[HypothesisWord]:
    """*words* with a full stop at the end and at each long pause, and a capital after it."""
    stop = pack.stops[0]
    found: list[HypothesisWord] = []
    opens = True
    for number, word in enumerate(words):
        text = _capital(word.text) if opens else word.text
        last = number + 1 == len(words)
        opens = last or words[number + 1].start - word.end >= SENTENCE
        if opens and text[-1:] not in _MARKS:
            text += stop
        opens = opens or text[-1:] in _STOPS
        found.append(replace(word, text=text))
    return found


def opened(words: Sequence[HypothesisWord], before: HypothesisWord | None) -> list[HypothesisWord]:
    """*words* with a capital at their beginning where the word *before* ended a sentence, or there is none."""
    if words and (before is None or before.text[-1:] in _STOPS) and words[0].text[:1].islower():
        return [replace(words[0], text=_capital(words[0].text)), *words[1:]]
    return list(words)


def _capital(text: str) -> str:
    """*text* with a capital first letter; a word with a capital inside (iPhone) keeps its form."""
    return text[:1].upper() + text[1:] if text[1:] == text[1:].lower() else text
