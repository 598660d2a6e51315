"""Long recordings: no sentence gets lost, however long they are and wherever the pauses lie."""

import pytest

from tests.recognition.material import Clip, chained, compared, errors, heard, load, own_clips, spoken

pytestmark = pytest.mark.weights

FOUND = 0.7
"""Share of the words of every clip that must be found, in order."""


def test_two_minutes_of_known_sentences_keep_every_sentence(base):
    audio, order = chained(own_clips(), 120, pause=4, seed=1)
    said = heard(base, audio)
    found = compared(order, said)
    lost = [clip.text for clip, share in zip(order, found.shares, strict=True) if share < FOUND]
    assert lost == []
    assert found.deletions <= 2
    assert found.insertions <= 4
    assert found.errors <= 11  # of 253 words
    assert said.notes == ()
    ends = sum(said.text.count(mark) for mark in ".?!")
    assert ends >= 0.8 * len(order)


@pytest.mark.shared
@pytest.mark.parametrize(("model", "seconds", "wrong"), [("tiny", 300, 42), ("base", 80, 14)])
def test_a_recording_of_many_speakers_keeps_every_sentence(request, many_speakers, model, seconds, wrong):
    audio, order = chained(many_speakers, seconds, pause=4, seed=1)
    found = compared(order, heard(request.getfixturevalue(model), audio))
    lost = [clip.text for clip, share in zip(order, found.shares, strict=True) if share < FOUND]
    assert lost == []
    assert found.deletions <= 4
    assert found.errors <= wrong


@pytest.fixture(scope="module")
def many_speakers(rows):
    """Sentences of the shared folder, long enough to be told apart from their neighbours."""
    sources = ("librivox", "misc/jfk", "lhotse", "speechbrain", "moonshine/beckett", "speechmatics/audio_01")
    chosen = [row for row in rows.values() if row.name.startswith(sources) and len(row.reference) >= 7]
    assert len(chosen) >= 12
    return [Clip(audio=load(row.path), text=spoken(row)) for row in chosen]


def test_two_windows_at_once_hear_what_one_by_one_does(tiny):
    audio, _ = chained(own_clips(), 45, pause=3, seed=4)
    try:
        tiny.allow(lambda: 1)
        one = heard(tiny, audio)
        tiny.allow(lambda: 2)
        two = heard(tiny, audio)
    finally:
        tiny.allow(lambda: 2)
    assert len(one.tokens()) > 60
    # a second decode draws by chance, so a word may differ where there was one
    assert errors(one.text, two) <= 2
    assert one.notes == two.notes
