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
    # Our own lists: only sounds that are no words of the language, so that no meaning is lost. Left out are, for example, German
    # `eh` (anyway), French `bah` (well), Egyptian Arabic `اه` (yes), Italian `eh` (yes, isn't it), Portuguese `um` (one).
    "ar": _set("امم امممم اممم آآ آآآ ااه ااهه همم هممم"),
    "da": _set("øh øhm øhh øhhm øhmm øøh øøhm hmm hm æh æhm ehm mhm"),
    "nl": _set("uh uhm uhh uhhm eh ehm ehh eeh euh euhm hmm hm mhm uhu"),
    "fr": _set("euh euhh euuh heu heuh heum hum hmm hm mmh mmm mhm"),
    "de": _set("äh ähm ähh ähhm äähm ääh öh öhm öhh hm hmm mhm hmhm ehm ähem"),
    "el": _set("εε εεε εμ εμμ χμ χμμ μμ μμμ αα"),
    "he": _set("אה אהה אההה אמ אממ אמממ הממ המממ ההמ אהמ"),
    "hi": _set("उम उम्म हम्म हम्मम अं अम्म उह उहह"),
    "hu": _set("öö ööö őő ööm öhm ühüm hmm hm hüm mhm ööh"),
    "it": _set("ehm eehm ehmm uhm mmm mm mh hmm hm mhm mhmm uhmm"),
    "ja": _set("えー えーと えーっと ええと えっと えーとー あー あのー うーん うーんと んー んーと"),
    "cmn": _set("呃 呃呃 嗯 嗯嗯 嗯哼 唔"),
    "pl": _set("yyy yy yyyy eee eeee hmm hm mhm yhm ymm emm"),
    "pt": _set("hum hmm hm ahn ãh ãhn éé ééé hã uhm mhm"),
    "ru": _set("э эм эмм ээ эээ ээээ хм хмм мм ммм мгм"),
    "es": _set("eh ehh ehm em emm mmm mm hmm hm eem ehmm mhm"),
}
"""Language code → hesitations in the form of `normalised`, for the 17 languages of the contract (§7.4)."""

# Strong words only, with their inflections; mild and ambiguous ones are left out: god, kill, cock, gay, piss, Italian troia
# (also Troy), Spanish zorra (also a fox), hostia, polla.
PROFANITIES: Mapping[str, frozenset[str]] = {
    "en": _set(
        "fuck fucks fucked fucker fuckers fuckin fuckin' fucking fuckhead fuckheads clusterfuck motherfucker "
        "motherfuckers motherfuckin motherfucking mother-fucker mother-fuckers mother-fucking shit shits shitty "
        "shittier shittiest shitting shite shithead shitheads bullshit bullshits bullshitted bullshitter "
        "bullshitters bullshitting horseshit bitch bitches bitchy bitching asshole assholes arsehole arseholes "
        "bastard bastards cunt cunts dickhead dickheads cocksucker cocksuckers cocksucking wank wanked wanker "
        "wankers wanking twat twats goddamn goddamned goddamnit goddammit whore whores slut sluts slutty nigger "
        "niggers nigga niggas faggot faggots"
    ),
    "es": _set(
        "mierda mierdas puta putas puto putos putada putadas hijoputa hijoputas hijaputa hijaputas hijueputa "
        "hijueputas joder jode jodes joden joda jodan jodí jodió jodiendo jódete jodido jodida jodidos jodidas "
        "coño coños cabrón cabrona cabrones cabronas cabronazo gilipollas gilipollez gilipolleces pendejo pendeja "
        "pendejos pendejas pendejada pendejadas chingar chinga chingas chingan chingo chingue chinguen chingando "
        "chíngate chingado chingada chingados chingadas chingadera chingaderas culero culera culeros culeras "
        "maricón maricones"
    ),
    "it": _set(
        "cazzo cazzi cazzata cazzate cazzone cazzoni incazzato incazzata incazzati incazzate incazzare merda merde "
        "merdoso merdosa merdosi merdose stronzo stronza stronzi stronze stronzata stronzate vaffanculo fanculo "
        "affanculo puttana puttane puttanata puttanate troie coglione cogliona coglioni coglionata coglionate "
        "rompicoglioni minchia minchiata minchiate minchione minchioni bastardo bastarda bastardi bastarde frocio "
        "froci mignotta mignotte"
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
        if isinstance(item, Word) and tag not in item.tags and _plain(item) in _list(item, pack, lists)
        else item
        for item in items
    )


def _plain(word: Word) -> str:
    """The key of *word* in the lists: without the ending of a possessive."""
    return normalised(word.text).removesuffix("'s")


def _list(word: Word, pack: LanguagePack, lists: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The list of the word's language, or of the pack's if it has none; the lists of all languages of a bilingual code."""
    parts = (word.language or pack.code).split("_")
    return frozenset[str]().union(*(lists[part] for part in parts if part in lists))
