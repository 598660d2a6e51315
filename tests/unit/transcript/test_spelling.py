import pytest

from sottovoce.transcript.model import Entity
from sottovoce.transcript.spelling import respell
from sottovoce.transcript.spelling.pairs import PAIRS
from tests.unit.transcript.transcript_values import said, texts


@pytest.mark.parametrize(
    ("american", "british"),
    [
        ("The color of the center", "The colour of the centre"),
        ("Color it . COLORS and the fiber's end", "Colour it . COLOURS and the fibre's end"),
        ("we realized and analyzed travelers", "we realised and analysed travellers"),
        ("unlabeled catalog of gray aluminum", "unlabelled catalogue of grey aluminium"),
    ],
)
def test_words_change_both_ways(american: str, british: str) -> None:
    assert " ".join(texts(respell(said(american), "en-GB"))) == british
    assert " ".join(texts(respell(said(american), "en-AU"))) == british
    assert " ".join(texts(respell(said(british), "en-US"))) == american


def test_neighbours_decide() -> None:
    british = respell(said("a license to practice the practice and two meters from a parking meter"), "en-GB")
    assert " ".join(texts(british)) == "a licence to practise the practice and two metres from a parking meter"
    assert texts(respell(said("license the program on tv programs"), "en-GB"))[-1] == "programmes"
    american = respell(said("a licence to practise at the kerb with a cheque"), "en-US")
    assert " ".join(texts(american)) == "a license to practice at the curb with a check"


def test_names_and_other_locales_stay() -> None:
    line = tuple(said("in Pearl Harbor and Gray and the Center"))
    assert respell(line, "en-GB") == line
    assert respell(tuple(said("color")), None) == tuple(said("color"))
    assert respell(tuple(said("color")), "cmn-Hans") == tuple(said("color"))


def test_custom_words_stay() -> None:
    assert texts(respell(said("the color Color"), "en-GB", keep=["Harbor Color"])) == ["the", "color", "Color"]


def test_entities_stay() -> None:
    entity = Entity(text="color.com", entity_class="electronic", spoken=(), written=(), start=0, end=1)
    assert respell([entity], "en-GB") == (entity,)


def test_the_pairs_are_one_to_one() -> None:
    pairs = [tuple(entry.split(":")) for entry in PAIRS.split()]
    assert len(pairs) > 2000
    american = [first for first, _ in pairs]
    assert len(set(american)) == len(american)
    assert not set(american) & {second for _, second in pairs}
