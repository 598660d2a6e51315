import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.request import Diarization, SubtitleLimits
from sottovoce.transcript.model import Attaches, Item, Transcript, samples
from sottovoce.wire.formats import srt, txt, vtt
from tests.unit.transcript.transcript_values import DURATION, lines, m, said, w

LIMITS = SubtitleLimits()


def made(*items: Item, language: str = "en", duration: float = 100) -> Transcript:
    return Transcript(language=language, duration=samples(duration), created_at=0, items=items)


# --- TXT


@pytest.mark.parametrize("diarization", Diarization)
def test_nothing_said(diarization: Diarization) -> None:
    assert txt.render(made(), diarization=diarization) == ""
    assert srt.render(made(), LIMITS) == ""
    assert vtt.render(made(), LIMITS) == "WEBVTT\n\n"


def test_bare_text_has_no_newline() -> None:
    items = said("Is it ? Yes .", speaker="S1", channel="left")
    assert txt.render(made(*items), diarization=Diarization.NONE) == "Is it? Yes."


def test_the_contracts_example() -> None:
    first = said("Is the 17th good ? I think so .", speaker="S1")
    second = said("Fine , the 17th it is .", speaker="S2")
    assert txt.render(made(*first, *second), diarization=Diarization.SPEAKER) == (
        "SPEAKER: S1\nIs the 17th good? I think so.\n\nSPEAKER: S2\nFine, the 17th it is."
    )


def test_unknown_speakers_are_uu() -> None:
    items: list[Item] = [w("a", speaker="UU"), w("b"), w("c", speaker="S1")]
    assert txt.render(made(*items), diarization=Diarization.SPEAKER) == "SPEAKER: UU\na b\n\nSPEAKER: S1\nc"


def test_channels() -> None:
    items: list[Item] = [
        w("a", channel="left", speaker="S1"),
        w("b", channel="left", speaker="S2"),
        w("c", channel="right"),
    ]
    assert txt.render(made(*items), diarization=Diarization.CHANNEL) == "CHANNEL: left\na b\n\nCHANNEL: right\nc"


def test_a_language_change_begins_a_line() -> None:
    items: list[Item] = [w("a", language="en"), m(","), w("b", language="de"), m("."), w("c", language="en")]
    assert txt.render(made(*items), diarization=Diarization.NONE) == "a,\nb.\nc"
    spoken: list[Item] = [
        w("a", language="en", speaker="S1"),
        w("b", language="de", speaker="S1"),
        w("c", language="de"),
    ]
    assert txt.render(made(*spoken), diarization=Diarization.SPEAKER) == "SPEAKER: S1\na\nb\n\nSPEAKER: UU\nc"


def test_a_mark_never_opens_a_turn() -> None:
    items: list[Item] = [
        w("a", speaker="S1"),
        m("."),
        m("¿", attaches=Attaches.NEXT),
        w("b", speaker="S2"),
        m("?", speaker="S1"),
    ]
    assert txt.render(made(*items), diarization=Diarization.SPEAKER) == "SPEAKER: S1\na.\n\nSPEAKER: S2\n¿b?"


def test_labels_stay_on_their_line() -> None:
    items: list[Item] = [w("a", speaker="Ann\n\nSPEAKER: S9")]
    assert txt.render(made(*items), diarization=Diarization.SPEAKER) == "SPEAKER: Ann SPEAKER: S9\na"


# --- SRT


def test_srt() -> None:
    items: list[Item] = [
        w("We", 0.5, 1),
        w("met", 1, 2.14),
        m(".", 2.14),
        w("Where", 2.3, 2.6),
        w("then", 2.6, 3),
        m("?", 3),
    ]
    assert srt.render(made(*items, duration=3.2), LIMITS) == (
        "1\n00:00:00,500 --> 00:00:02,216\nWe met.\n\n2\n00:00:02,300 --> 00:00:03,133\nWhere then?\n\n"
    )


@pytest.mark.parametrize(
    ("at", "stamp"),
    [(0, "00:00:00,000"), (15, "00:00:00,000"), (16, "00:00:00,001"), (15_999, "00:00:00,999"), (-5, "00:00:00,000"),
     (3_599 * 16_000, "00:59:59,000"), (100 * 3_600 * 16_000, "100:00:00,000")],
)  # fmt: skip
def test_stamps(at: int, stamp: str) -> None:
    assert srt.stamp(at) == stamp


SRT_BLOCK = re.compile(r"(\d+)\n(\d\d:\d\d:\d\d,\d{3}) --> (\d\d:\d\d:\d\d,\d{3})\n((?:.+\n)+)\n")


@given(lines(), st.sampled_from(["en", "ja", "ar"]))
def test_any_srt_can_be_read(items: list[Item], language: str) -> None:
    rendered = srt.render(made(*items, language=language, duration=DURATION / 16_000), LIMITS)
    blocks = SRT_BLOCK.findall(rendered)
    assert SRT_BLOCK.sub("", rendered) == ""
    assert [int(number) for number, *_ in blocks] == list(range(1, len(blocks) + 1))
    times = [time for _, start, end, _ in blocks for time in (start, end)]
    assert all(one <= two for one, two in pairwise(times))
    assert all(start < end for _, start, end, _ in blocks)


# --- VTT


def test_vtt() -> None:
    items: list[Item] = [
        w("a<b", 0.5, 1, speaker="Ann & <Bo>\n"),
        w("R&D", 1, 2, speaker="Ann & <Bo>\n"),
        w("-->", 3, 4, speaker="UU"),
    ]
    assert vtt.render(made(*items), LIMITS) == (
        "WEBVTT\n\n"
        "00:00:00.500 --> 00:00:02.000\n<v Ann &amp; &lt;Bo&gt;>a&lt;b R&amp;D\n\n"
        "00:00:03.000 --> 00:00:04.000\n--&gt;\n\n"
    )


def test_vtt_has_the_cues_of_srt() -> None:
    transcript = made(*said("We met on the seventeenth , at nine . Then it rained , all day long , and we went home ."))
    as_srt = re.sub(r"^\d+\n", "", srt.render(transcript, LIMITS), flags=re.MULTILINE)
    assert vtt.render(transcript, LIMITS) == "WEBVTT\n\n" + re.sub(r"(\d),(\d)", r"\1.\2", as_srt)


def test_names_are_shown_in_subtitles_on_request_only() -> None:
    found = made(*said("Good morning .", speaker="Anna"), *said("Well .", start=9, speaker="UU"))
    assert "Anna: Good morning." in srt.render(found, LIMITS, named=True)
    assert "UU: Well." in srt.render(found, LIMITS, named=True), "as in text and Word: else it would be Anna's"
    assert ":" not in "".join(line for line in srt.render(found, LIMITS).splitlines() if "-->" not in line)
    assert vtt.render(found, LIMITS, named=True) == vtt.render(found, LIMITS)
    channels = made(*said("Good morning .", channel="Anna <1>"))
    assert "<v Anna &lt;1&gt;>Good morning." in vtt.render(channels, LIMITS, named=True)
    assert "<v" not in vtt.render(channels, LIMITS)
