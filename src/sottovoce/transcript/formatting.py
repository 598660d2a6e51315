"""Turns words into text: punctuation and capitals for engines without them, joining, sentences, and removal of words.

All functions take time linear in the number of items, do not change the times of words, and leave items without a rule
unchanged.

In order: punctuation; capitals; spellings of phrases; `join`; `sentences`; `remove_words`; `normalised`.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sottovoce.request import PunctuationOverrides
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import Attaches, ChannelLabel, Entity, Item, Mark, Samples, SpeakerLabel, Word, samples

SENTENCE_PAUSE: Samples = samples(0.5)
"""A longer pause, in samples, ends a sentence at sensitivity 0.5 (research/engines.md §6.6); halved at 1, doubled at 0."""

COMMA_SHARE = 0.6
"""A comma needs this share of the pause that ends a sentence: 0.3 s at sensitivity 0.5 (research/nlp.md §3)."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _names(names: str) -> tuple[str, ...]:
    return tuple(names.split(", "))


# After one of these words a pause is a hesitation, unless it is _HESITATION times as long as the end of a sentence.
_DANGLING = _set("a an the and or but my your our their because if very")
_HESITATION = 3
# A comma may precede a clause that begins with one of these words.
_CLAUSES = _set(
    "and but or so because which who although though while if when since unless until however yet where whereas"
)
_COMMA_AFTER = 3  # minimum words of a sentence before its first comma …
_ANSWERS = _set("yes no yeah well okay oh ok sorry thanks hello hi")  # … except after one of these

_LEAD_INS = _set("and so but well oh okay ok now then um uh or yeah")
_LONGEST_QUESTION = 20  # words; a longer sequence is more likely several sentences than a question
_ANYONE = _set("i you he she it we they there this that anyone anybody someone somebody")
_YOU = _set("i you we they")
_AUXILIARIES = {
    **dict.fromkeys(_set("is are was were am do does did can could would should will"), _ANYONE),
    **dict.fromkeys(
        _set("isn't aren't wasn't weren't doesn't didn't can't couldn't wouldn't shouldn't won't"), _ANYONE
    ),
    # "do it", "have this" and "has it" are more often commands and statements
    **dict.fromkeys(_set("do don't have haven't may shall"), _YOU),
    **dict.fromkeys(_set("has hasn't"), _set("he she anyone anybody someone somebody there")),
}
_DO = _set("do does did don't doesn't didn't can can't could couldn't will won't would should shouldn't")
_BE = _set("is are was were am isn't aren't")
_HAVE = _set("has have had haven't hasn't")
_QUESTION_WORDS = {
    "what": _DO | _BE | _HAVE | _set("about else kind time"),
    "where": _DO | _BE | _HAVE,
    "why": _DO | _BE | _HAVE | _set("not"),
    "how": _DO | _BE | _HAVE | _set("many much long old often far come about"),
    "when": _DO | _set("is are"),
    # after a pause, "who was …" and "which is …" more often continue the previous sentence than start a question
    "who": _DO | _set("is are wants else"),
    "which": _set("do does did one way of"),
    "whose": _BE,
}
_CONTRACTED = re.compile(r"(?:what|who|where|how|why)(?:'s|'re|'d|'ll)")


def permit(items: Iterable[Item], overrides: PunctuationOverrides) -> tuple[Item, ...]:
    """*items* without the marks that the caller does not permit (contract §6.2), for engines that punctuate."""
    permitted = overrides.permitted_marks
    return tuple(item for item in items if permitted is None or not isinstance(item, Mark) or item.text in permitted)


def punctuate(
    items: Iterable[Item], pack: LanguagePack, overrides: PunctuationOverrides, *, end: Samples
) -> tuple[Item, ...]:
    """*items* of one channel with marks derived from pauses, for an engine without punctuation.

    A pause above the threshold, a change of speaker and the end of the items end a sentence. English also gets commas
    before clauses at shorter pauses, and question marks for sentences that begin like a question. Only marks of the
    language that the caller permits are added; if the full stop is not one of them, a statement ends without a mark,
    because another mark would change its meaning. Existing marks are kept. No mark is later than *end*.
    """
    bare = permit(items, overrides)
    marks = [mark for mark in pack.marks if overrides.permitted_marks is None or mark in overrides.permitted_marks]
    if not marks:
        return bare
    rules = _Punctuation(pack=pack, marks=frozenset(marks), pause=_sentence_pause(overrides))
    marked: list[Item] = []
    sentence: list[str] = []
    for index, item in enumerate(bare):
        following = bare[index + 1] if index + 1 < len(bare) else None
        if isinstance(item, Mark):
            marked.append(item)
            if item.ends_sentence:
                sentence.clear()
            continue
        sentence.append(_lower(item.text))
        ends = rules.ends(item, following, sentence)
        text = rules.final(sentence) if ends else None
        if text is None and rules.comma(item, following, sentence):
            text = ","
        marked.append(without_dot(item) if text == "." else item)
        if text is not None:
            marked.append(_mark(text, item, end, ends_sentence=text in pack.stops))
        if ends:
            sentence.clear()
    return tuple(marked)


def clause_commas(items: Sequence[Item], pack: LanguagePack, overrides: PunctuationOverrides) -> Iterator[Item]:
    """*items* of an engine that punctuates, with the commas of `punctuate` where it left them out."""
    marks = frozenset(
        mark for mark in pack.marks if overrides.permitted_marks is None or mark in overrides.permitted_marks
    )
    rules = _Punctuation(pack=pack, marks=marks, pause=_sentence_pause(overrides))
    sentence: list[str] = []
    for index, item in enumerate(items):
        yield item
        if isinstance(item, Mark):
            if item.ends_sentence:
                sentence.clear()
            continue
        sentence.append(_lower(item.text))
        if rules.comma(item, items[index + 1] if index + 1 < len(items) else None, sentence):
            yield _mark(",", item, item.end, ends_sentence=False)


def _sentence_pause(overrides: PunctuationOverrides) -> Samples:
    return round(SENTENCE_PAUSE * 4 ** (0.5 - overrides.sensitivity))


def _mark(text: str, word: Word | Entity, end: Samples, *, ends_sentence: bool) -> Mark:
    return Mark(
        text=text,
        at=min(word.end, end),
        ends_sentence=ends_sentence,
        language=word.language,
        speaker=word.speaker,
        channel=word.channel,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Punctuation:
    """The rules of `punctuate` for a language, a set of *marks*, and the *pause* in samples that ends a sentence."""

    pack: LanguagePack
    marks: frozenset[str]
    pause: Samples

    def ends(self, item: Word | Entity, following: Item | None, sentence: Sequence[str]) -> bool:
        """True if a sentence ends after *item*."""
        if isinstance(following, Mark):
            return False
        if following is None or _voice(following) != _voice(item):
            return True
        dangling = _english(self.pack) and sentence[-1] in _DANGLING
        return following.start - item.end > self.pause * (_HESITATION if dangling else 1)

    def final(self, sentence: Sequence[str]) -> str | None:
        """The mark that ends *sentence*, or `None` if the suitable mark is not permitted."""
        if _english(self.pack) and "?" in self.marks and _is_question(sentence):
            return "?"
        stop = self.pack.stops[0] if self.pack.stops else None
        return stop if stop in self.marks else None

    def comma(self, item: Word | Entity, following: Item | None, sentence: Sequence[str]) -> bool:
        """True if the pause after *item* gets a comma."""
        if "," not in self.marks or not _english(self.pack) or following is None or isinstance(following, Mark):
            return False
        if _voice(following) != _voice(item) or following.start - item.end <= self.pause * COMMA_SHARE:
            return False
        if len(sentence) == 1:
            return sentence[0] in _ANSWERS
        opens = _lower(following.text) in _CLAUSES
        return opens and len(sentence) >= _COMMA_AFTER and sentence[-1] not in _DANGLING | _CLAUSES


def _english(pack: LanguagePack) -> bool:
    return pack.code == "en" or pack.code.startswith("en_")


def _voice(item: Item) -> tuple[ChannelLabel | None, SpeakerLabel | None]:
    return item.channel, item.speaker


def _lower(text: str) -> str:
    return text.replace("’", "'").lower()


def _is_question(sentence: Sequence[str]) -> bool:
    """True if *sentence*, in lower case, begins like an English question; an uncertain case is a statement."""
    if len(sentence) > _LONGEST_QUESTION:
        return False
    skipped = 0
    while skipped < min(2, len(sentence)) and sentence[skipped] in _LEAD_INS:
        skipped += 1
    words = sentence[skipped : skipped + 2]
    if not words:
        return False
    if len(words) == 1:
        return words[0] in {"what", "why", "who", "where", "when", "how", "really"} and not skipped
    first, second = words
    asked = _QUESTION_WORDS.get(first, frozenset()) | _AUXILIARIES.get(first, frozenset())
    return second in asked or _CONTRACTED.fullmatch(first) is not None


def without_dot(item: Word | Entity) -> Word | Entity:
    """*item* without its final dot, before a full stop: `t.` followed by `.` becomes `T.`, `11:40 a.m.` loses its last dot."""
    if not item.text[:-1] or not item.text.endswith("."):
        return item
    if isinstance(item, Entity):
        parts = (*item.written[:-1], *(replace(last, text=last.text.removesuffix(".")) for last in item.written[-1:]))
        return replace(item, text=item.text[:-1], written=parts)
    initials = _INITIALS.fullmatch(item.text) and item.text not in _ABBREVIATIONS
    return replace(item, text=item.text[:-1].upper() if initials else item.text[:-1])


_INITIALS = re.compile(r"(?:[A-Za-z]\.)+")
_LOWER_INITIALS = re.compile(r"(?:[a-z]\.)+(?:['’]s)?")  # as PocketSphinx writes letters (research/engines.md §2)
_LONE_LETTERS = frozenset("bcdefghjklmnpqrstuvwxyz")  # spelled out; "a", "i" and "o" are words
_ABBREVIATIONS = _set("a.m. p.m. e.g. i.e.")
_FIRST_PERSON = re.compile(r"i(?:['’](?:m|ll|d|ve|d['’]ve|ll['’]ve))?")
# Names that are not also ordinary English words: "may", "march", "china", "turkey" and "polish" are left out.
_PROPER = _names(
    "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday, January, February, April, June, July, "
    "August, September, October, November, December, Mondays, Tuesdays, Wednesdays, Thursdays, Fridays, "
    "Saturdays, Sundays, America, American, Americans, England, English, Britain, British, France, French, "
    "Germany, German, Germans, Spain, Spanish, Italy, Italian, Italians, Ireland, Irish, Scotland, Scottish, "
    "Wales, Welsh, Russia, Russian, Russians, Ukraine, Ukrainian, Sweden, Swedish, Norway, Norwegian, Denmark, "
    "Danish, Netherlands, Dutch, Belgium, Belgian, Austria, Austrian, Switzerland, Portugal, Portuguese, Poland, "
    "Greece, Greek, Israel, Israeli, Egypt, Egyptian, Europe, European, Europeans, Africa, African, Africans, "
    "Asia, Asian, Australia, Australian, Australians, Canada, Canadian, Canadians, Mexico, Mexican, Brazil, "
    "Brazilian, Chinese, Japan, Japanese, India, Indian, Indians, Korea, Korean, Vietnam, Iraq, Iran, Pakistan, "
    "Afghanistan, London, Paris, Berlin, Moscow, Tokyo, Chicago, Boston, Washington, California, Texas, Florida, "
    "Hollywood, Manhattan, Brooklyn, Christmas, Easter, Christian, Christians, Jewish, Muslim, Muslims, Islam, "
    "Buddhist, Jesus, Shakespeare, Einstein, Lincoln, Obama, Kennedy, Microsoft, Google, Facebook, Elizabeth, "
    "Michael, Thomas, Susan, Margaret, Catherine, Alexander, Benjamin, Mr, Mrs, Dr, Mr., Mrs., Dr., TV, CD, DVD, "
    "PhD, FBI, CIA, BBC, New York, New Zealand, New Jersey, New Orleans, United States, United Kingdom, United "
    "Nations, Los Angeles, Las Vegas, San Francisco, San Diego, Hong Kong, South Africa, Saudi Arabia, Middle "
    "East, Great Britain"
)


def capitalise(items: Iterable[Item], pack: LanguagePack, keep: Collection[str] = ()) -> tuple[Item, ...]:
    """*items* with capitals, for an engine that writes lower case.

    The first word of a sentence gets one, per channel and speaker, if any mark ends a sentence (without such marks the
    sentences are unknown). English also gets *I*, initials, and a short list of names that are not ordinary words. Words
    and phrases in *keep* are written as they are there. Words that have a capital, or no case, are unchanged.
    """
    line = list(items)
    english = _english(pack)
    written = _required_spellings(line, keep)
    if english:
        names = _required_spellings(line, _PROPER)
        written |= {at: name for at, name in names.items() if at not in written and line[at].text.islower()}
    sentences_seen = any(isinstance(item, Mark) and item.ends_sentence for item in line)
    speakers: dict[ChannelLabel | None, SpeakerLabel | None] = {}
    mid_sentence: set[ChannelLabel | None] = set()
    cased: list[Item] = []
    for index, item in enumerate(line):
        if isinstance(item, Mark):
            if item.ends_sentence:
                mid_sentence.discard(item.channel)
            cased.append(item)
            continue
        opens = item.channel not in mid_sentence or speakers.get(item.channel) != item.speaker
        ordinary = _english_case(item.text) if english and isinstance(item, Word) else item.text
        text = written.get(index, ordinary)
        opens = opens and not (
            isinstance(item, Entity) and item.entity_class == "electronic"
        )  # example.com keeps its case
        cased.append(_rewritten(item, sentence_case(text, pack.code) if opens and sentences_seen else text))
        mid_sentence.add(item.channel)
        speakers[item.channel] = item.speaker
    return tuple(cased)


def sentence_case(text: str, language: str | None = None) -> str:
    """*text* at the start of a sentence; unchanged if it contains a capital (`iPhone`), starts with a digit, or has no case.

    *language* matters for Turkish and Dutch.
    """
    if text != text.lower():
        return text
    first = next((index for index, char in enumerate(text) if char.isalnum()), None)
    if first is None:
        return text
    head, letter, tail = text[:first], text[first], text[first + 1 :]
    if letter == "i" and language == "tr":
        return f"{head}İ{tail}"
    if language == "nl" and text[first : first + 2] == "ij":  # a digraph
        return f"{head}IJ{text[first + 2 :]}"
    return head + letter.title() + tail  # title case is correct for "ǆ" and changes nothing in scripts without case


def _english_case(text: str) -> str:
    if _FIRST_PERSON.fullmatch(text):
        return "I" + text[1:]
    if text in _LONE_LETTERS:
        return text.upper()
    if _LOWER_INITIALS.fullmatch(text) and text not in _ABBREVIATIONS:
        letters = text.rstrip("s'’")
        return letters.upper() + text[len(letters) :]
    return text


def _rewritten(item: Word | Entity, text: str) -> Word | Entity:
    """*item* with *text*, which differs only in case; the first written part of an entity is changed too."""
    if text == item.text:
        return item
    if isinstance(item, Word):
        return replace(item, text=text)
    first = item.written[0] if item.written else None
    if first is None or not item.text.startswith(first.text):
        return replace(item, text=text)
    return replace(item, text=text, written=(replace(first, text=text[: len(first.text)]), *item.written[1:]))


_LONGEST_PHRASE = 6  # words; longer entries of the custom vocabulary are dropped (contract §11)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spellings:
    """*forms*: words in lower case → their required spelling; *lengths* of the phrases by first word, longest first."""

    forms: Mapping[tuple[str, ...], tuple[str, ...]]
    lengths: Mapping[str, tuple[int, ...]]


def _spellings(wanted: Iterable[str]) -> _Spellings:
    """*wanted* as a lookup table; of two entries that differ only in case, the first is used."""
    forms: dict[tuple[str, ...], tuple[str, ...]] = {}
    lengths: dict[str, set[int]] = {}
    for spelling in wanted:
        words = tuple(spelling.split())
        key = tuple(_lower(word) for word in words)
        if 0 < len(words) <= _LONGEST_PHRASE:
            forms.setdefault(key, words)
            lengths.setdefault(key[0], set()).add(len(words))
    return _Spellings(
        forms=forms, lengths={first: tuple(sorted(each, reverse=True)) for first, each in lengths.items()}
    )


def _required_spellings(items: Sequence[Item], wanted: Iterable[str]) -> dict[int, str]:
    """Index of a word → its spelling in *wanted*; the longest matching phrase is used."""
    spellings = _spellings(wanted)
    written: dict[int, str] = {}
    for index, item in enumerate(items):
        if isinstance(item, Word) and index not in written:
            written.update(_run_at(items, index, spellings) or _whole_at(item, index, spellings))
    return written


def _run_at(items: Sequence[Item], index: int, spellings: _Spellings) -> dict[int, str]:
    """The spellings of the words from *index*, if they are a phrase of one speaker; the last may be a possessive."""
    first = items[index]
    for length in spellings.lengths.get(_lower(first.text), ()):
        run = items[index : index + length]
        if length == 1 or not all(isinstance(item, Word) and _voice(item) == _voice(first) for item in run):
            continue
        *heads, last = (item.text for item in run)
        base, ending = _possessive(last)
        for tail, suffix in ((_lower(last), ""), (base, ending)):
            words = spellings.forms.get((*map(_lower, heads), tail))
            if words is not None:
                return {index + at: word for at, word in enumerate((*words[:-1], words[-1] + suffix))}
    return {}


def _whole_at(item: Word, index: int, spellings: _Spellings) -> dict[int, str]:
    """The spelling of one word, which may be a custom phrase that the engine returns as one word."""
    base, ending = _possessive(item.text)
    for heard, suffix in ((_lower(item.text), ""), (base, ending)):
        words = spellings.forms.get(tuple(heard.split()))
        if words is not None:
            return {index: " ".join(words) + suffix}
    return {}


def _possessive(text: str) -> tuple[str, str]:
    """*text* in lower case without its `'s`, and the ending itself, empty if there is none."""
    for ending in ("'s", "’s"):
        if text.endswith(ending):
            return _lower(text[: -len(ending)]), ending
    return _lower(text), ""


def join(items: Iterable[Item], pack: LanguagePack) -> str:
    """The text of *items* in logical order, for both writing directions (the reference algorithm of contract §8.1).

    The delimiter of the language joins words and the written forms of entities; there is none on a side on which a mark
    attaches, before the first item, or after the last.
    """
    pieces: list[str] = []
    glued = True
    for item in items:
        attaches = item.attaches if isinstance(item, Mark) else Attaches.NONE
        if not glued and attaches not in {Attaches.PREVIOUS, Attaches.BOTH}:
            pieces.append(pack.delimiter)
        pieces.append(item.text)
        glued = attaches in {Attaches.NEXT, Attaches.BOTH}
    return "".join(pieces)


def sentences(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    """The sentences of *items*, in the order of their starts.

    A sentence ends with its mark or where the speaker of its channel changes. Each channel is processed separately, so that
    simultaneous speech on two channels does not end a sentence.
    """
    begun: list[list[Item]] = []
    current: dict[ChannelLabel | None, list[Item]] = {}
    for item in items:
        sentence = current.get(item.channel)
        if sentence is None or (not isinstance(item, Mark) and sentence[-1].speaker != item.speaker):
            sentence = current[item.channel] = []
            begun.append(sentence)
        sentence.append(item)
        if isinstance(item, Mark) and item.ends_sentence:
            del current[item.channel]
    yield from (tuple(sentence) for sentence in begun)


def remove_words(items: Iterable[Item], gone: Callable[[Word], bool]) -> tuple[Item, ...]:
    """*items* without the words for which *gone* is true, with capitals and marks corrected (contract §7.4).

    The next word of the sentence gets the capital of a removed word. The comma after a removed word is removed too, and so
    is the comma before it if the word was between two. A final mark moves to the previous word, or is removed if no word
    of its sentence is left. Channels are processed separately.
    """
    slots: list[list[Item]] = []
    lines: dict[ChannelLabel | None, _Removal] = {}
    for item in items:
        line = lines.setdefault(item.channel, _Removal())
        if isinstance(item, Mark):
            line.mark(item, slots)
        elif isinstance(item, Word) and gone(item):
            line.drop(item)
        else:
            line.keep(item, slots)
    return tuple(item for slot in slots for item in slot)


@dataclass(slots=True, kw_only=True)
class _Removal:
    """The state of one channel. *slot*: its last kept word with marks; *fresh*: no word of the sentence is kept yet."""

    slot: list[Item] = field(default_factory=list)
    fresh: bool = True
    dropped: bool = False
    capital_pending: bool = False  # a removed word had the capital of the sentence
    speaker: SpeakerLabel | None = None

    def drop(self, word: Word) -> None:
        """Remove *word*."""
        self._turn(word)
        self.dropped = True
        self.capital_pending = self.capital_pending or (self.fresh and word.text[:1].isupper())

    def keep(self, item: Word | Entity, slots: list[list[Item]]) -> None:
        """Keep *item*, with the capital of a removed word."""
        self._turn(item)
        if self.capital_pending and self.fresh:
            item = _rewritten(item, sentence_case(item.text, item.language))
        self.slot = [item]
        slots.append(self.slot)
        self.fresh = self.dropped = self.capital_pending = False

    def mark(self, mark: Mark, slots: list[list[Item]]) -> None:
        """Keep *mark*, unless it followed a removed word and no kept word can take it."""
        if not self.dropped or mark.attaches is Attaches.NEXT:
            self._append(mark, slots)
            return
        self.dropped = False
        if self.fresh:
            self.capital_pending = self.capital_pending and not mark.ends_sentence
            return
        while len(self.slot) > 1 and isinstance(self.slot[-1], Mark) and not self.slot[-1].ends_sentence:
            self.slot.pop()
        if mark.ends_sentence:
            self._append(replace(mark, at=self.slot[0].end), slots)

    def _append(self, mark: Mark, slots: list[list[Item]]) -> None:
        if self.slot and mark.attaches is not Attaches.NEXT:
            self.slot.append(mark)
        else:
            self.slot = [mark]
            slots.append(self.slot)
        if mark.ends_sentence:
            self.fresh = True
            self.capital_pending = False

    def _turn(self, item: Word | Entity) -> None:
        if item.speaker != self.speaker:
            self.fresh = True
            self.capital_pending = False
            self.speaker = item.speaker


def normalised(text: str) -> str:
    """*text* as a key of the word lists: NFC, case-folded, with straight apostrophes."""
    return unicodedata.normalize("NFC", text).replace("’", "'").casefold()
