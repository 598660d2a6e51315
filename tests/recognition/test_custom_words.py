"""Custom words are written where they were said, and nowhere else."""

import pytest

from sottovoce.request import VocabEntry
from tests.recognition.material import DEMO, FIXTURES, errors, heard, load, spoken

pytestmark = pytest.mark.weights

NAMES = """
Aldrington Belvoir Cholmondeley Dunfermline Eyjafjallajökull Featherstonehaugh Gloucestershire Houellebecq Iztaccihuatl
Janáček Kierkegaard Llanelli Mainwaring Nkrumah Omphaloskepsis Przewalski Quetzalcoatl Rzeszów Szczecin Thessaloniki
Ulyanovsk Vercingetorix Wittgenstein Xochimilco Yggdrasil Zakynthos Abernathy Brzezinski Cthulhu Dvořák Euripides
Fitzwilliam Gorbachev Hieronymus Ieyasu Jabberwocky Kubernetes Lufthansa Montgomery Neuschwanstein Ozymandias
Philharmonia Qaddafi Rachmaninoff Shostakovich Tchaikovsky Uzbekistan Voldemort Wolfenstein Zimbabwe
""".split()  # noqa: SIM905 - fifty names are easier to read as lines


def custom(*contents):
    return [VocabEntry(content=each) for each in contents]


def test_names_that_nobody_says_change_nothing(tiny):
    audio = load(DEMO)
    assert len(NAMES) == 50
    assert heard(tiny, audio, vocab=custom(*NAMES)) == heard(tiny, audio)


def test_the_service_writes_the_demo_as_ever_with_fifty_names(service, demo_text):
    said = service(DEMO, vocab=custom(*NAMES))
    assert said.text.replace(",", "") == demo_text.replace(",", "")


@pytest.mark.parametrize("model", ["base", "tiny"])
def test_a_name_that_is_said_is_written_as_the_caller_does(request, model):
    """The voice says: they came to Zorvig on May 3rd."""
    engine = request.getfixturevalue(model)
    audio = load(FIXTURES / "numbers.flac")
    assert "Zorvigon" not in heard(engine, audio).text
    assert "Zorvigon" in heard(engine, audio, vocab=custom(*NAMES[:20], "Zorvigon", *NAMES[20:])).text


@pytest.mark.shared
@pytest.mark.parametrize("model", ["base", "tiny"])
def test_a_helpful_word_makes_a_recording_righter(request, rows, model):
    engine = request.getfixturevalue(model)
    row = rows["speechbrain/LJ050-0131.wav"]
    audio = load(row.path)
    without, with_ = heard(engine, audio), heard(engine, audio, vocab=custom("thereunder"))
    assert "thereunder" not in without.text
    assert "thereunder" in with_.text
    assert errors(spoken(row), with_) < errors(spoken(row), without)
    assert errors(spoken(row), with_) <= 2
