"""Words of real recordings, the service's own way: as many as were right when these bounds were set, but for two."""

import pytest

from tests.recognition.material import DEMO, errors, spoken

pytestmark = pytest.mark.weights

BASE, TINY = "whisper-base", "whisper-tiny.en"

SLACK = 2
"""Words that may come out otherwise on another processor."""


@pytest.mark.parametrize("model", [BASE, TINY])
def test_the_demo_is_right_to_the_word_and_comes_in_sentences(service, demo_text, model):
    said = service(DEMO, model=model)
    assert said.text.replace(",", "") == demo_text.replace(",", "")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "wrong"),
    [
        ("misc/jfk.flac", 0),
        ("librivox/sense_and_sensibility_01_austen_64kb-0870.wav", 0),
        ("librivox/sense_and_sensibility_01_austen_64kb-0890.wav", 0),
        ("moonshine/beckett.wav", 0),
        ("speechbrain/LJ050-0131.wav", 3),
        ("speechbrain/spk1_snt5.wav", 0),
        ("ps/goforward.wav", 0),
        ("speechmatics/audio_08_16kHz.wav", 0),
        ("speechmatics/fr_fr_000378.wav", 0),
        ("speechmatics/de_de_000675.wav", 2),
        ("speechmatics/es_419_000896.wav", 3),
        ("speechmatics/cmn_hans_cn_000328.wav", 6),
        ("deepspeech/ru.wav", 2),
    ],
)
def test_no_more_words_are_wrong_than_were(service, rows, file, wrong):
    row = rows[file]
    said = service(row.path, row.language)
    assert errors(spoken(row), said, row.language) <= wrong + SLACK, said.text
    assert not any("no words" in note for note in said.notes)


@pytest.mark.shared
@pytest.mark.parametrize("file", ["speechmatics/audio_01_16kHz.wav", "misc/jfk.flac", "speechbrain/spk1_snt3.wav"])
def test_the_small_english_model_is_not_much_worse(service, rows, file):
    said = service(rows[file].path, model=TINY)
    assert errors(spoken(rows[file]), said) <= 6 + SLACK, said.text


@pytest.mark.shared
def test_another_language_than_asked_for_is_told(service, shared):
    said = service(shared / "audio" / "speechmatics" / "fr_fr_000378.wav", "en")
    assert any("sounds like fr" in note and "en was requested" in note for note in said.notes)
    right = service(shared / "audio" / "speechmatics" / "fr_fr_000378.wav", "fr")
    assert not any("sounds like" in note for note in right.notes)
