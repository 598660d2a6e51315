"""When the silence after speech ends a turn: a pause after "and the" is longer than one after a whole sentence. Pure."""

from collections.abc import Sequence

from sottovoce.pipeline.live.finals import marks_of, plain
from sottovoce.transcript.model import RATE, Samples

WHOLE: Samples = 6 * RATE // 10
"""Silence (0.6 s) that ends a turn after a whole sentence."""

UNMARKED: Samples = 9 * RATE // 10
"""Silence (0.9 s) that ends a turn after words without the mark of a sentence's end; recognisers often write a comma there."""

UNFINISHED: Samples = 3 * RATE // 2
"""Silence (1.5 s) that ends a turn after a word with which no sentence ends, a hesitation or an ellipsis."""

_STOPS = frozenset(".?!。？！।؟")
_OPEN = ("...", "…", "-", "–", "—")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Articles, prepositions, conjunctions, possessives, auxiliaries and hesitations.
_UNFINISHED: dict[str, frozenset[str]] = {
    "en": _words(
        "a an the and or but nor of to for from with at by into onto about than as if because so while although unless whether"
        " that which who whose my your our their his its this these those is are was were be am i'm it's there's that's"
        " have has had will would can could should shall must may might do does did don't um uh er erm hmm like just very"
        " i we he she they please let let's between without within during per plus minus i'd we'd i'll we'll"
    ),
    "de": _words(
        "der die das den dem des ein eine einen einem einer und oder aber denn weil dass ob wenn als wie von zu mit nach bei"
        " aus für um an auf in im am vom zum zur mein meine dein ihr unser ist sind war waren habe hat haben wird werden kann"
        " ich wir er sie es äh ähm hm also sehr nicht"
    ),
    "fr": _words(
        "le la les un une des du de d' l' et ou mais donc car que qui quand si comme à au aux en dans par pour sur avec sans chez"
        " mon ma mes ton ta tes son sa ses notre votre leur est sont était ai as a avons avez ont je tu il elle nous vous ils"
        " euh ben très ne"
    ),
    "es": _words(
        "el la los las un una unos unas y e o u pero porque que si como cuando de del a al en con sin por para sobre mi tu su"
        " nuestro es son era está están he ha han yo él ella nosotros eh em muy no lo le se me"
    ),
    "it": _words(
        "il lo la i gli le un uno una e o ma perché che se come quando di del della dei a al alla in nel nella con su per tra fra"
        " mio tuo suo nostro è sono era ho ha hanno io lui lei noi eh ehm molto non si mi"
    ),
    "pt": _words(
        "o a os as um uma uns umas e ou mas porque que se como quando de do da dos das em no na ao à com sem por para sobre meu"
        " seu nosso é são era está tenho tem têm eu ele ela nós é hum muito não me lhe"
    ),
    "nl": _words(
        "de het een en of maar want omdat dat als hoe van naar met bij uit voor om aan op in te mijn jouw zijn haar ons is was"
        " waren heb heeft hebben zal kan ik wij we hij zij eh ehm heel niet er"
    ),
}  # fmt: skip


def end_silence(words: Sequence[str], language: str) -> Samples:
    """Return the silence that ends the turn after *words*, the written words of the newest segment, in *language*.

    A full stop alone says little: recognisers set one at the end of any audio. The last word is judged first.
    """
    if not words:
        return UNMARKED
    last = words[-1]
    marks = marks_of(last)
    if plain(last) in _UNFINISHED.get(language, ()) and "?" not in marks:
        return UNFINISHED
    if last.endswith(_OPEN):
        return UNFINISHED
    return WHOLE if _STOPS & set(marks) else UNMARKED
