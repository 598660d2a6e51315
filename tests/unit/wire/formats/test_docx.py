"""Word documents, read back with the library that wrote them."""

import io
import zipfile

import docx as library
import pytest
from docx.oxml.ns import qn
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.job import State
from sottovoce.request import Diarization
from sottovoce.transcript.model import Item, Transcript, samples
from sottovoce.wire.formats import docx
from sottovoce.wire.v2.job import JobView
from tests.unit.transcript.transcript_values import m, said, w

JOB = JobView(
    id="0123456789", state=State.DONE, created_at=1_780_000_000_000, data_name="talk.wav", duration_ms=0, config=None
)


def document(
    *items: Item, diarization: Diarization = Diarization.NONE, language: str = "en", job: JobView = JOB
) -> library.document.Document:
    transcript = Transcript(language=language, duration=samples(3725), created_at=0, items=items)
    return library.Document(io.BytesIO(docx.render(transcript, job, diarization=diarization)))


def texts(found: library.document.Document) -> list[str]:
    return [paragraph.text for paragraph in found.paragraphs]


def test_a_document_has_the_name_the_length_and_the_language() -> None:
    found = document(w("Hello", 0, 1), m("."))
    assert texts(found) == ["talk.wav", "1:02:05 · English", "0:00", "Hello."]
    assert found.paragraphs[0].style.name == "Heading 1"
    properties = found.core_properties
    assert (properties.title, properties.author, properties.language) == ("talk.wav", "", "en")
    assert properties.created.isoformat() == "2026-05-28T20:26:40+00:00"


def test_each_turn_has_its_speaker_and_time() -> None:
    first, second = said("Is it ? Yes .", speaker="S1"), said("Fine .", speaker="S2", start=65)
    found = document(*first, *second, diarization=Diarization.SPEAKER)
    assert texts(found)[2:] == ["S1  0:00", "Is it? Yes.", "S2  1:05", "Fine."]
    above = found.paragraphs[2]
    assert (above.runs[0].text, above.runs[0].bold) == ("S1  ", True)
    assert above.paragraph_format.keep_with_next


def test_channels_are_named_by_their_label() -> None:
    items = [w("a", channel="left"), w("b", channel="right")]
    assert texts(document(*items, diarization=Diarization.CHANNEL))[2::2] == ["left  0:00", "right  0:00"]


def test_a_long_turn_is_divided_at_sentences_and_names_its_speaker_once() -> None:
    one = said("many words in a sentence that goes on and on .", speaker="S1")
    items = [item for _ in range(30) for item in one]
    found = document(*items, diarization=Diarization.SPEAKER)
    times, parts = texts(found)[2::2], texts(found)[3::2]
    assert len(parts) > 1
    assert all(part.endswith("on.") and len(part) < docx.LONG + 60 for part in parts)
    assert [time.startswith("S1") for time in times] == [True] + [False] * (len(parts) - 1)
    assert " ".join(parts).count("many") == 30


def test_a_pause_after_a_sentence_starts_a_paragraph() -> None:
    found = document(*said("One .", start=0), *said("Two .", start=10), w("three", 30, 31), w("four", 60, 61))
    assert texts(found)[3::2] == ["One.", "Two.", "three four"]


def test_arabic_runs_from_right_to_left() -> None:
    found = document(w("مرحبا"), language="ar")
    above, below = found.paragraphs[-2:]
    assert above.style.name == below.style.name == docx.RIGHT_TO_LEFT
    assert below.style.element.pPr.find(qn("w:bidi")) is not None
    assert below.runs[0].font.rtl
    assert document(w("a")).paragraphs[-1].style.name == "Normal"


def test_text_that_xml_cannot_represent_is_replaced() -> None:
    hostile = "a\x00\x0b\ud800<w:t>&\n\nb"
    job = JobView(id="1", state=State.DONE, created_at=0, data_name=hostile * 100, duration_ms=0, config=None)
    found = document(w(hostile, speaker=hostile), diarization=Diarization.SPEAKER, job=job)
    assert texts(found)[2:] == ["a\ufffd\ufffd\ufffd<w:t>& b  0:00", "a\ufffd\ufffd\ufffd<w:t>& b"]
    assert len(found.core_properties.title) == docx.NAME_LENGTH


@given(text=st.text(min_size=1, max_size=30), language=st.sampled_from(["en", "ar", "ja", "cmn", "xx"]))
def test_any_text_makes_a_readable_document(text: str, language: str) -> None:
    assert len(texts(document(w(text), language=language))) == 4


@pytest.mark.parametrize(("language", "attribute", "wanted"), [("de", "val", "de"), ("ja", "eastAsia", "ja-JP")])
def test_the_language_is_told_to_spelling_checkers(language: str, attribute: str, wanted: str) -> None:
    found = document(w("a"), language=language)
    (tag,) = found.styles.element.iter(qn("w:lang"))
    assert tag.get(qn(f"w:{attribute}")) == wanted


def test_the_file_has_no_path_or_name_of_this_machine() -> None:
    transcript = Transcript(language="en", duration=0, created_at=0)
    with zipfile.ZipFile(io.BytesIO(docx.render(transcript, JOB, diarization=Diarization.NONE))) as found:
        assert b"python-docx" not in found.read("docProps/core.xml")
