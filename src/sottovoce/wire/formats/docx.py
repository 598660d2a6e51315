"""A transcript as a Word document (Office Open XML, ISO/IEC 29500), a format that the contract does not have."""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sottovoce.request import Diarization
from sottovoce.transcript.entities.items import as_words
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import LanguagePack, pack
from sottovoce.transcript.model import RATE, UNKNOWN_SPEAKER, Item, Mark, Samples, Transcript
from sottovoce.transcript.timeline import units
from sottovoce.wire import timestamps
from sottovoce.wire.formats.txt import turns
from sottovoce.wire.v2.job import JobView

if TYPE_CHECKING:
    from docx.document import Document

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
LONG = 600
"""Characters after which a paragraph ends with its sentence: a turn may last an hour."""
PAUSE = 3 * RATE // 2
"""Samples of silence after a sentence that start a new paragraph."""
RIGHT_TO_LEFT = "Right to left"
"""The style of paragraphs in Arabic, Hebrew and the like."""
NAME_LENGTH = 255
"""Characters of the title in the properties of the document, which Word limits."""
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot contain (production `Char`)."""
_EAST_ASIAN = {"cmn": "zh-CN", "yue": "zh-HK", "ja": "ja-JP", "ko": "ko-KR"}
_TAG_LENGTH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paragraph:
    """*text* in *language*, from *start*; *label* is that of the speaker where the speaker changes, else empty."""

    label: str
    start: Samples
    text: str
    language: LanguagePack


def render(transcript: Transcript, job: JobView, *, diarization: Diarization) -> bytes:
    """The document: the name of the file, then the turns of *transcript*, each with its speaker and time above it.

    A long turn is divided at the ends of sentences. What XML cannot represent becomes U+FFFD.
    """
    import docx

    document = docx.Document()
    spoken = pack(transcript.language)
    _describe(document, job, transcript)
    _add_style(document)
    document.add_heading(_clean(job.data_name or job.id), level=1)
    document.add_paragraph(f"{clock(transcript.duration)} · {spoken.description}")
    for paragraph in _paragraphs(transcript, diarization, spoken):
        _add(document, paragraph)
    written = io.BytesIO()
    document.save(written)
    return written.getvalue()


def clock(at: Samples) -> str:
    """*at* as `0:07` or `1:02:03`."""
    minutes, second = divmod(max(0, at) // RATE, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02d}:{second:02d}" if hour else f"{minute}:{second:02d}"


def _paragraphs(transcript: Transcript, diarization: Diarization, spoken: LanguagePack) -> Iterator[_Paragraph]:
    for turn in turns(as_words(transcript.items), _LABELS[diarization]):
        label = turn.header
        for line in turn.lines:
            language = pack(turn.language) if turn.language and len(turn.lines) > 1 else spoken
            for part in _divided(line):
                yield _Paragraph(label=label, start=part[0].start, text=join(part, spoken), language=language)
                label = ""


def _divided(line: Iterable[Item]) -> Iterator[list[Item]]:
    """*line* in parts that end with a sentence: after `LONG` characters, or before a pause."""
    part: list[Item] = []
    length, ended = 0, False
    for unit in units(line):
        if ended and (length > LONG or unit[0].start - part[-1].end > PAUSE):
            yield part
            part, length = [], 0
        part.extend(unit)
        length += sum(len(item.text) + 1 for item in unit)
        ended = any(isinstance(item, Mark) and item.ends_sentence for item in unit)
    if part:
        yield part


def _speaker(item: Item) -> str:
    return _clean(item.speaker or UNKNOWN_SPEAKER)


def _channel(item: Item) -> str:
    return _clean(item.channel or "")


def _no_label(_item: Item) -> str:
    return ""


_LABELS: dict[Diarization, Callable[[Item], str]] = {
    Diarization.NONE: _no_label,
    Diarization.SPEAKER: _speaker,
    Diarization.CHANNEL: _channel,
    Diarization.CHANNEL_AND_SPEAKER: _speaker,
}


# ── the document ──


def _add(document: "Document", paragraph: _Paragraph) -> None:
    """The label and time of *paragraph* in a line of their own, which stays on the page of the text."""
    above = document.add_paragraph()
    above.paragraph_format.keep_with_next = True
    above.paragraph_format.space_after = 0
    if paragraph.label:
        above.add_run(f"{paragraph.label}  ").bold = True
    above.add_run(clock(paragraph.start)).italic = True
    below = document.add_paragraph()
    run = below.add_run(_clean(paragraph.text))
    if paragraph.language.rtl:
        above.style = below.style = RIGHT_TO_LEFT
        run.font.rtl = True


def _add_style(document: "Document") -> None:
    """Add the style `RIGHT_TO_LEFT`: the library has no attribute for the direction of a paragraph."""
    from docx.enum.style import WD_STYLE_TYPE
    from docx.oxml import OxmlElement

    style = document.styles.add_style(RIGHT_TO_LEFT, WD_STYLE_TYPE.PARAGRAPH)
    style.base_style = document.styles["Normal"]
    style.element.get_or_add_pPr().append(OxmlElement("w:bidi"))


def _describe(document: "Document", job: JobView, transcript: Transcript) -> None:
    """Set the properties of the file, and the language that a spelling checker uses."""
    from docx.oxml.ns import qn

    properties = document.core_properties
    created = datetime.fromisoformat(timestamps.milliseconds(job.created_at))
    properties.created = properties.modified = created
    properties.title = _clean(job.data_name or job.id)[:NAME_LENGTH]
    properties.author = properties.comments = ""
    properties.language = transcript.language
    for language in document.styles.element.iter(qn("w:lang")):
        if len(transcript.language) == _TAG_LENGTH:
            language.set(qn("w:val"), transcript.language)
            language.set(qn("w:bidi"), transcript.language)
        language.set(qn("w:eastAsia"), _EAST_ASIAN.get(transcript.language, "en-US"))


def _clean(text: str) -> str:
    """*text* in one line, without characters that XML cannot contain: the caller chose names and custom words."""
    return " ".join(_ILLEGAL.sub("\ufffd", text).split())
