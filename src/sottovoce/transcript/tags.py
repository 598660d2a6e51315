"""Tags for hesitations and swear words, found by membership in short lists (contract §7.4).

Only whole words match, so that place names do not, and a lookup takes constant time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sottovoce.transcript.formatting import normalised, remove_words
from sottovoce.transcript.languages import LanguagePack
from sottovoce.transcript.model import Item, Word

DISFLUENCY = "disfluency"
PROFANITY = "profanity"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


DISFLUENCIES: Mapping[str, frozenset[str]] = {
    # the complete list of the contract, which publishes none for other languages
    "en": _set(
        "huh aha ah aw eh err hmm mm um uh uh-oh uh-huh uh-uh mhm a-ha aah aahh aaw ah-ha ahaa ahh ahha aww "
        "eeh erm hhm hhmm hm huh-uh m-hm uggh ugh ughh uhh uhhm uhm uhmm umm uuh uuhh uum"
    ),
    # Our own lists: only sounds that are no words of the language, so that no meaning is lost.
    "ar": _set("امم امممم اممم آآ آآآ اه اهه ااه همم هممم"),
    "da": _set("øh øhm øhh øhhm øhmm hmm hm æh æhm mhm"),
    "nl": _set("uh uhm uhh uhhm eh ehm ehh euh euhm hmm hm mhm uhu"),
    "fr": _set("euh euhh heu heuh hum hmm hm mmh mmm bah mhm"),
    "de": _set("äh ähm ähh ähhm äähm ääh öh öhm öhh hm hmm mhm hmhm eh ehm"),
    "el": _set("εε εεε εμ εμμ χμ χμμ μμ μμμ αα"),
    "he": _set("אהה אההה אממ אמממ המממ ההמ אהמ"),
    "hi": _set("उम उम्म हम्म हम्मम अं अम्म उह उहह"),
    "hu": _set("öö ööö őő ööm öhm ühüm hmm hm hüm mhm ööh"),
    "it": _set("ehm eehm ehmm uhm mmm mm hmm hm mhm uhmm"),
    "ja": _set("えー えーと えーっと ええと えっと えーとー あー あのー うーん うーんと んー んーと"),
    "cmn": _set("呃 呃呃 嗯嗯 嗯哼 唔"),
    "pl": _set("yyy yy eee eeee yyyy hmm hm mhm ymm emm"),
    "pt": _set("hum hmm hm ahn ãh ãhn éé ééé hã uhm mhm"),
    "ru": _set("эм эмм эээ ээ хм хмм ммм мм мгм"),
    "es": _set("eh ehh ehm em emm mmm mm hmm hm eem ehmm mhm"),
}
"""Language code → hesitations in the form of `normalised`, for the 17 languages of the contract (§7.4)."""

# Strong words only, with their inflections; mild and ambiguous ones (god, kill, cock, gay) are left out.
PROFANITIES: Mapping[str, frozenset[str]] = {
    "en": _set(
        "fuck fucks fucked fucker fuckers fuckin fuckin' fucking motherfucker motherfuckers motherfucking "
        "shit shits shitty shitting bullshit horseshit bitch bitches bitching asshole assholes arsehole "
        "arseholes bastard bastards cunt cunts dickhead dickheads cocksucker cocksuckers wanker wankers twat "
        "twats goddamn goddamned whore whores slut sluts"
    ),
    "es": _set(
        "mierda mierdas puta putas puto putos hijoputa hijaputa joder jodido jodida jodidos jodidas coño "
        "cabrón cabrona cabrones gilipollas pendejo pendeja pendejos pendejas chingar chingada chingado "
        "culero culera"
    ),
    "it": _set(
        "cazzo cazzi cazzata cazzate merda merde stronzo stronza stronzi stronze vaffanculo fanculo puttana "
        "puttane troia troie coglione cogliona coglioni minchia bastardo bastarda bastardi"
    ),
}
"""Language code → swear words in the form of `normalised`; the contract tags these three languages."""


def tag_disfluencies(items: Iterable[Item], pack: LanguagePack) -> tuple[Item, ...]:
    """*items* with the tag `disfluency` on each hesitation of their language."""
    return _tagged(items, pack, DISFLUENCIES, DISFLUENCY)


def tag_profanities(items: Iterable[Item], pack: LanguagePack) -> tuple[Item, ...]:
    """*items* with the tag `profanity` on each swear word of their language."""
    return _tagged(items, pack, PROFANITIES, PROFANITY)


def remove_disfluencies(items: Iterable[Item], pack: LanguagePack) -> tuple[Item, ...]:
    """*items* without hesitations, tagged or not, with capitals and marks corrected."""
    return remove_words(tag_disfluencies(items, pack), lambda word: DISFLUENCY in word.tags)


def _tagged(
    items: Iterable[Item], pack: LanguagePack, lists: Mapping[str, frozenset[str]], tag: str
) -> tuple[Item, ...]:
    return tuple(
        replace(item, tags=(*item.tags, tag))
        if isinstance(item, Word) and tag not in item.tags and normalised(item.text) in _list(item, pack, lists)
        else item
        for item in items
    )


def _list(word: Word, pack: LanguagePack, lists: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The list of the word's language, or of the pack's if it has none; the lists of all languages of a bilingual code."""
    parts = (word.language or pack.code).split("_")
    return frozenset[str]().union(*(lists[part] for part in parts if part in lists))
