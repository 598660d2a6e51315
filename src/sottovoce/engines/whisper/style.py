"""Capitals and marks for a passage that the model wrote without them. Pure functions over words.

Whisper sometimes writes a whole window in lower case or without marks. The window is then decoded again after an example
text with capitals and marks. Only capitals and marks of the result are used, so no word of the example can get into the
transcript. If that fails, sentences are derived from pauses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from sottovoce.engines.common.hypothesis_word import HypothesisWord, comparison_key
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import RATE, Samples

SENTENCE: Samples = 7 * RATE // 10
"""A pause of this length (0.7 s) ends a sentence if there are no marks."""

_WORDS = 8  # words from which a passage is expected to have a mark
_SIGNS = 14  # letters, the same for scripts without blanks
_ALIKE = 0.7  # least similarity of the letters of two decodes, 0..1, for the marks of one to be used in the other

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
"""Example text with capitals and marks for each language, by Whisper's codes; written for this project."""

_MARKS = frozenset(".,!?;:…。，、？！；：।॥؟،؛")
_STOPS = frozenset(".!?…。？！।॥؟")


def plain(words: Sequence[HypothesisWord], pack: LanguagePack) -> bool:
    """True if *words* are enough to expect a mark and a capital, but have no mark or no capital."""
    letters = sum(len(comparison_key(word.text)) for word in words)
    if (len(words) < _WORDS) if pack.delimiter else (letters < _SIGNS):
        return False
    text = " ".join(word.text for word in words)
    cased = any(char.lower() != char.upper() for char in text)
    return not _MARKS.intersection(text) or (cased and text == text.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """A letter of a passage: its comparison *key*, the *char* as written, the index of its word, its *place* in the word's
    text, and the marks directly after it.
    """

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
    """*words* with the capitals and marks of *model*, another decode of the same passage; None if the two differ too much."""
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
    """*words* with a full stop at the end and at each pause of at least `SENTENCE`, and a capital after it."""
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
    """*words* with a capital at their beginning if the word *before* ended a sentence or is None."""
    if words and (before is None or before.text[-1:] in _STOPS) and words[0].text[:1].islower():
        return [replace(words[0], text=_capital(words[0].text)), *words[1:]]
    return list(words)


def _capital(text: str) -> str:
    """*text* with a capital first letter; a word with a capital inside (iPhone) is unchanged."""
    return text[:1].upper() + text[1:] if text[1:] == text[1:].lower() else text
