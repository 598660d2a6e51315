"""Makes irrelevant custom words, and measures their effect on a text."""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from bench import scoring

RARE = (
    *("Abernathy", "Achterberg", "Adebayo", "Aguinaldo", "Akhmatova", "Anantharaman", "Antetokounmpo", "Arkwright"),
    *("Balakirev", "Bartholomew", "Beauregard", "Bhattacharya", "Bjornstad", "Brzezinski", "Carruthers", "Chakraborty"),
    *("Cholmondeley", "Csikszentmihalyi", "Desrosiers", "Dostoyevsky", "Eichelberger", "Fitzsimmons", "Gorbachev"),
    *("Gyllenhaal", "Habermas", "Hammarskjold", "Higginbotham", "Ibarruri", "Jablonski", "Kapodistrias", "Kieslowski"),
    *("Kowalapur", "Krzyzewski", "Lagerkvist", "Lewandowski", "Louis-Dreyfus", "MacGillivray", "Mbappe", "Mendelssohn"),
    *("Nakajima", "Nguyen", "Oppenheimer", "Ouagadougou", "Pietrangeli", "Postgres", "Quetzalcoatl", "Kubernetes"),
    *("Ramanujan", "Rostropovich", "Schwarzkopf", "Shostakovich", "Sienkiewicz", "Tchaikovsky", "Thistlethwaite"),
    *(
        "Tutankhamun",
        "Ulyanovsk",
        "Venkataraman",
        "Wojciechowski",
        "Wolstenholme",
        "Yevtushenko",
        "Zbigniew",
        "Zoroaster",
    ),
    *("Addis Ababa", "San Bernardino", "Von Hindenburg", "De Klerk", "Terraform Enterprise", "Azure Synapse"),
)
"""Rare names and products, as in custom dictionaries."""

_ONSETS = "b br c ch d dr f fl g gr h j k kl l m n p pr qu r s sh st t th tr v w y z"
_MIDDLES = "a e i o u ai ei io oa ya ie"
_ENDS = ("", "", "", "n", "r", "l", "s", "m", "nd", "rk", "sk", "lt", "x", "th")


def words(count: int, seed: int, avoid: Collection[str]) -> list[str]:
    """*count* different custom words, rare names and invented ones in turn, none of whose tokens is in *avoid*."""
    chance = random.Random(seed)
    rare = chance.sample(RARE, len(RARE))
    invented = _invented(chance)
    chosen: dict[str, None] = {}
    while len(chosen) < count:
        word = rare.pop() if rare and chance.random() < 0.5 else next(invented)
        if not any(token in avoid for token in scoring.tokens(word, "en")):
            chosen[word] = None
    return list(chosen)


def _invented(chance: random.Random) -> Iterator[str]:
    """Names of two to four syllables that are no words."""
    onsets, middles = _ONSETS.split(), _MIDDLES.split()
    while True:
        syllables = chance.choice((2, 3, 3, 4))
        made = "".join(chance.choice(onsets) + chance.choice(middles) for _ in range(syllables))
        yield (made + chance.choice(_ENDS)).capitalize()


# ── the effect on a text ──


def leaked(vocab: Sequence[str], heard: Sequence[str], expected: Sequence[Sequence[str]]) -> list[str]:
    """Occurrences of *vocab* among the tokens *heard* that are in none of the texts *expected*."""
    text = _spaced(heard)
    known = [_spaced(tokens) for tokens in expected]
    found: list[str] = []
    for word in vocab:
        piece = _spaced(scoring.tokens(word, "en"))
        if not any(piece in other for other in known):
            found += [word] * text.count(piece)
    return found


def _spaced(tokens: Sequence[str]) -> str:
    """*tokens* with a blank on both sides of each, so that neighbours share none and whole words are found."""
    return "".join(f" {token} " for token in tokens)


def style(text: str) -> dict[str, float]:
    """Words of *text* that begin with a capital, as a share, and full stops and commas in a hundred words."""
    written = [word for word in text.split() if any(char.isalnum() for char in word)]
    letters = [next((char for char in word if char.isalpha()), "") for word in written]
    count = max(len(written), 1)
    return {
        "capitalised": sum(letter.isupper() for letter in letters) / count,
        "full_stops_per_100_words": 100 * sum(_ends(word, ".。") for word in written) / count,
        "commas_per_100_words": 100 * sum(_ends(word, ",，、") for word in written) / count,
    }


def _ends(word: str, marks: str) -> bool:
    return word.rstrip("\"'”’)]")[-1:] in tuple(marks)


def changes(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, Any]:
    """*after* less *before*."""
    return {name: after[name] - before[name] for name in before}
