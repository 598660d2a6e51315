import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.request import SubtitleLimits
from sottovoce.transcript.formatting import join
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Attaches, Item, Mark, Word, samples, seconds
from sottovoce.transcript.subtitles import FRAME, GAP, LONGEST, NEAR, PAUSE, READING_SPEED, SHORTEST, Cue, cues
from sottovoce.transcript.timeline import by_sentence, merge_channels
from tests.examples import examples
from tests.unit.transcript.transcript_values import DURATION, any_times, lines, m, said, w

EN = pack("en")
LIMITS = SubtitleLimits()
END = samples(100)


def limits(length: int, rows: int = 2) -> SubtitleLimits:
    return SubtitleLimits(max_line_length=length, max_lines=rows)


def shown(items: Sequence[Item], given_: SubtitleLimits = LIMITS, code: str = "en") -> list[tuple[str, ...]]:
    return [cue.lines for cue in cues(items, pack(code), given_, end=END)]


def spans(items: Sequence[Item], end: float = 100, given_: SubtitleLimits = LIMITS) -> list[tuple[float, float]]:
    return [(seconds(cue.start), seconds(cue.end)) for cue in cues(items, EN, given_, end=samples(end))]


# --- what is shown together


def test_a_cue_a_sentence() -> None:
    items = said("We meet on the 17th at nine . Is that fine ?")
    assert shown(items, limits(20)) == [("We meet on the", "17th at nine."), ("Is that fine?",)]


def test_nothing_said() -> None:
    assert cues([], EN, LIMITS, end=END) == ()
    assert cues([w(""), w(" \n"), m("")], EN, LIMITS, end=END) == ()


def test_a_cue_is_filled_word_by_word() -> None:
    assert shown(said("one two three four five six seven", pause=0), limits(9)) == [
        ("one two", "three"), ("four five", "six seven"),
    ]  # fmt: skip


def test_a_cue_ends_with_its_sentence() -> None:
    items = [*said("we do not know . "), *said("well , perhaps", start=3)]
    assert shown(items) == [("we do not know.",), ("well, perhaps",)]


def test_two_sentences_share_a_cue_if_one_is_too_short() -> None:
    assert shown(said("yes . no , well", pause=0)) == [("yes. no, well",)]
    assert shown(said("yes . no , well", pause=0), limits(9)) == [("yes.", "no, well")]
    assert shown(said("yes . no , well", pause=0), limits(9, 1)) == [("yes.",), ("no, well",)]
    assert shown([w("yes", 0, 0.3), m("."), w("no", 1.4, 1.7)]) == [("yes.",), ("no",)]


def test_a_cue_is_of_one_voice() -> None:
    items = [w("a", 0, speaker="S1"), w("b", 0.2, speaker="S2"), w("c", 0.4, speaker="S2", channel="left")]
    found = cues(items, EN, LIMITS, end=END)
    assert [(cue.lines, cue.speaker, cue.channel) for cue in found] == [
        (("a",), "S1", None), (("b",), "S2", None), (("c",), "S2", "left"),
    ]  # fmt: skip


def test_a_long_gap_begins_a_cue() -> None:
    assert shown([w("a", 0, 1), w("b", 2.99, 3)]) == [("a b",)]
    assert shown([w("a", 0, 1), w("b", 3, 4)]) == [("a",), ("b",)]
    assert samples(2) == GAP


def test_a_cue_is_not_too_long() -> None:
    assert shown([w("a", 0, 4), w("b", 4, 7), w("c", 7, 8)]) == [("a",), ("b c",)]
    assert shown([w("a", 0, 9), w("b", 9, 10)]) == [("a",), ("b",)]
    assert spans([w("a", 0, 9)]) == [(0, 9)]


def test_a_long_word_has_its_own_line() -> None:
    assert shown(said("a Donaudampfschiff b"), limits(5)) == [("a", "Donaudampfschiff"), ("b",)]
    assert shown(said("Donaudampfschiff a b"), limits(5)) == [("Donaudampfschiff", "a b")]
    assert shown(said("a Donaudampfschiff , b"), limits(5, 1)) == [("a",), ("Donaudampfschiff,",), ("b",)]


def test_marks_stay_with_their_words() -> None:
    items: list[Item] = [
        w("a"),
        m("¿", attaches=Attaches.NEXT),
        w("bb"),
        m("-", attaches=Attaches.BOTH, ends=False),
        w("cc"),
        m("?"),
    ]
    assert shown(items, limits(6)) == [("a", "¿bb-cc?")]
    apart: list[Item] = [w("a", speaker="S1"), m("-", attaches=Attaches.BOTH, ends=False), w("b", speaker="S2")]
    assert shown(apart) == [("a-",), ("b",)]


def test_a_mark_that_stands_alone() -> None:
    items: list[Item] = [w("a", speaker="S1"), m("–", attaches=Attaches.NONE), m(",", ends=False), w("b", speaker="S1")]
    assert shown(items) == [("a –, b",)]
    assert shown(items, limits(2)) == [("a", "–,"), ("b",)]


@given(lines())
def test_lines_read_like_the_text(items: list[Item]) -> None:
    spoken = [replace(item, channel=None, speaker=None) for item in items if item.text.strip() == item.text != ""]
    told = [line for cue in cues(spoken, EN, limits(10**6), end=DURATION) for line in cue.lines]
    assert re.sub(r"\s+", " ", " ".join(told)) == re.sub(r"\s+", " ", join(spoken, EN))


def test_a_mark_without_labels_belongs_to_its_word() -> None:
    assert shown([w("a", speaker="S1", channel="left"), m(","), w("b", speaker="S1", channel="left")]) == [("a, b",)]


def test_lines_are_balanced() -> None:
    assert shown(said("one two three four five six seven eight nine", pause=0)) == [
        ("one two three four five", "six seven eight nine"),
    ]  # fmt: skip
    assert shown(said("it fits in one")) == [("it fits in one",)]


def test_lines_break_behind_marks_where_that_costs_little() -> None:
    assert shown(said("one two three , four five six seven eight nine", pause=0)) == [
        ("one two three,", "four five six seven eight nine"),
    ]  # fmt: skip
    assert shown(said("a , four five six seven eight nine ten to", pause=0)) == [
        ("a, four five six seven", "eight nine ten to"),
    ]  # fmt: skip


def test_three_lines() -> None:
    text = "aaaa bbbb cccc dddd eeee ffff gggg"
    assert shown(said(text, pause=0), limits(14, 3)) == [("aaaa bbbb", "cccc dddd eeee", "ffff gggg")]


def test_languages_without_delimiter() -> None:
    assert shown(said("今日 は 、 いい 天気 です 。", pause=0), limits(7), "ja") == [("今日は、", "いい天気です。")]
    assert shown([w("一二三四五六七八九十", 0, 5), m("。", 5)], limits(4), "cmn") == [
        ("一二三四",),
        ("五六七八", "九十。"),
    ]


def test_characters_that_are_one_are_not_parted() -> None:
    family = "👩\u200d👧"
    assert shown([w(f"ab{family}x", 0, 1)], limits(4), "ja") == [("ab", f"{family}x")]
    assert shown([w("a👍🏽b", 0, 1)], limits(2), "ja") == [("a",), ("👍🏽", "b")]
    assert shown([w("กแข", 0, 1)], limits(2), "th") == [("ก", "แข")]
    assert shown([w("คำนี้", 0, 1)], limits(4), "th") == [("คำ", "นี้")]
    assert shown([w("一二三", 0, 1), m("，", 1)], limits(3), "cmn") == [("一二", "三，")]


def test_pieces_of_a_word_share_its_time() -> None:
    found = cues([w("一二三四", 0, 8)], pack("cmn"), limits(2, 1), end=END)
    assert [(cue.lines, seconds(cue.start), seconds(cue.end)) for cue in found] == [
        (("一二",), 0, pytest.approx(4 - 1 / 12, abs=0.01)),
        (("三四",), 4, 8),
    ]


def test_line_breaks_inside_words_are_blanks() -> None:
    assert shown([w("a\r\n\r\nb\x85c"), m("!", at=0.1)]) == [("a b c!",)]
    assert shown([w("20\u00a0$")]) == [("20\u00a0$",)]


def test_right_to_left_is_in_logical_order() -> None:
    assert shown(said("שלום , עולם ."), limits(6), "he") == [("שלום,", "עולם.")]


def test_limits_that_make_no_sense_still_show_everything() -> None:
    assert shown(said("a b"), limits(0, 0)) == [("a",), ("b",)]
    assert shown(said("a b", pause=0), limits(10**9, 10**9)) == [("a b",)]


# --- how long it is shown


def test_a_cue_stays_to_be_read() -> None:
    assert spans([w("a", 1, 1.1)]) == [(1, round(1 + SHORTEST / 16_000, 2))]
    text = "twentyfourcharacterslong" + "x" * 10
    assert spans([w(text, 1, 1.1)]) == [(1, 1 + 34 / READING_SPEED)]
    assert spans([w("x" * 1000, 1, 1.1)]) == [(1, 1 + LONGEST / 16_000)]


def test_slow_scripts_get_more_time() -> None:
    (cue,) = cues([w("四文字熟", 0, 0.1)], pack("ja"), LIMITS, end=END)
    assert seconds(cue.end) == 1


def test_a_cue_leaves_a_gap_if_it_can() -> None:
    one, other = w("a", 0, 1.45, speaker="S1"), w("b", 1.5, 2, speaker="S2")
    first, second = cues([one, other], EN, LIMITS, end=END)
    assert (first.end, second.start) == (samples(1.5) - PAUSE, samples(1.5))
    first, second = cues([one, replace(other, start=samples(2.2), end=samples(3))], EN, LIMITS, end=END)
    assert (first.end, second.start) == (samples(1.45), samples(2.2))  # 0.75 s are no flicker
    first, second = cues([one, replace(other, start=samples(1.9), end=samples(3))], EN, LIMITS, end=END)
    assert (first.end, second.start) == (samples(1.9) - PAUSE, samples(1.9))


def test_a_cue_keeps_the_least_time_if_the_next_speaker_is_quick() -> None:
    first, second = cues([w("a", 0, 0.1, speaker="S1"), w("b", 0.3, 2, speaker="S2")], EN, LIMITS, end=END)
    assert second.start == SHORTEST + PAUSE
    assert first.end == SHORTEST


def test_cues_end_at_clauses() -> None:
    items = said(
        "and so my fellow americans ask not what your country can do for you , ask what you can do for your country .",
        pause=0.05,
    )
    found = shown(items)
    lines_ = [line for cue in found for line in cue]
    assert any(line.endswith("for you,") for line in lines_)
    assert not any(line.startswith("you,") for line in lines_)
    assert all(len(line.split()) > 1 for line in lines_)


def test_no_cue_of_one_word_is_left_over() -> None:
    items = said("one two three four five six seven eight nine ten eleven twelve thirteen fourteen", pause=0)
    assert all(len(" ".join(cue).split()) > 2 for cue in shown(items))


def test_a_cue_ends_with_the_audio() -> None:
    assert spans([w("a", 1, 1.1)], end=1.3) == [(1, 1.3)]
    assert spans([w("a", 1, 9)], end=2) == [(1, 2)]
    assert spans([w("a", 5, 9)], end=2) == [(1.96, 2)]
    assert spans([w("a", -1, 0)], end=0) == [(0, 0)]


def test_cues_of_two_channels_do_not_overlap() -> None:
    items = merge_channels({"left": said("how are you ?"), "right": said("fine thanks .")})
    found = cues(items, EN, LIMITS, end=END)
    assert [cue.lines for cue in found] == [("how are you?",), ("fine thanks.",)]  # not word by word
    assert all(one.end <= two.start for one, two in pairwise(found))
    assert all(cue.end - cue.start >= FRAME for cue in found)


def test_a_cue_that_starts_late_can_be_read_too() -> None:
    left = said("the horizon seems extremely distant .", start=0.1, pause=0)
    text = "he began a confused complaint against the wizard , who had vanished behind the curtain on the left ."
    right = said(text, start=0.3, pause=-0.06)
    found = cues(merge_channels({"left": left, "right": right}), EN, LIMITS, end=samples(5))
    speeds = [sum(map(len, cue.lines)) / seconds(cue.end - cue.start) for cue in found]
    assert len(found) == 3
    assert max(speeds) < READING_SPEED * 2  # 25 characters a second on average: no cue pays for the others


def test_many_at_once_get_a_frame_each_inside_the_audio() -> None:
    items = [w(str(number), 9.9, 10, speaker=f"S{number}") for number in range(100)]
    found = cues(items, EN, LIMITS, end=samples(10))
    assert all(cue.end - cue.start >= FRAME - 1 for cue in found)
    assert found[-1].end == samples(10)
    assert cues(items, EN, LIMITS, end=50)[-1].end == 50


# --- whatever comes


def flat(texts: list[str]) -> str:
    return "".join("".join(texts).split())


def check(items: Sequence[Item], code: str, given_: SubtitleLimits, end: int) -> tuple[Cue, ...]:
    found = cues(items, pack(code), given_, end=end)
    assert flat([line for cue in found for line in cue.lines]) == flat([item.text for item in by_sentence(items)])
    for cue in found:
        assert 0 <= cue.start <= cue.end <= end
        assert 1 <= len(cue.lines) <= given_.max_lines
        assert all(line.strip() and "\n" not in line for line in cue.lines)
    assert all(one.end <= two.start and one.start <= two.start for one, two in pairwise(found))
    if len(found) * FRAME <= end:
        assert all(cue.end - cue.start >= FRAME for cue in found)
    return found


any_limits = st.builds(SubtitleLimits, max_line_length=st.integers(1, 60), max_lines=st.integers(1, 4))


@given(lines(any_times), st.sampled_from(["en", "he", "ja", "th"]), any_limits, st.integers(0, DURATION))
@settings(max_examples=examples(300))
def test_nothing_is_lost_reordered_or_overlapping(
    items: list[Item], code: str, given_: SubtitleLimits, end: int
) -> None:
    check(items, code, given_, end)


@given(st.dictionaries(st.sampled_from(["left", "right"]), lines()), any_limits)
def test_nor_with_channels(by_channel: dict[str, list[Item]], given_: SubtitleLimits) -> None:
    items = list(merge_channels({key: sorted(line, key=lambda item: item.start) for key, line in by_channel.items()}))
    check(items, "en", given_, DURATION)


plain_words = st.lists(st.text(st.sampled_from("abcdefgé"), min_size=1, max_size=14), min_size=1, max_size=40)


@given(plain_words, any_limits, st.sampled_from(["en", "ja"]), st.floats(0, 0.4))
def test_lines_keep_their_limit(texts: list[str], given_: SubtitleLimits, code: str, pause: float) -> None:
    found = check(said(" ".join(texts), pause=pause), code, given_, END)
    for cue in found:
        for line in cue.lines:
            alone = code == "en" and line in texts
            assert len(line) <= given_.max_line_length or alone


@given(plain_words, any_limits)
def test_cues_are_filled(texts: list[str], given_: SubtitleLimits) -> None:
    """Two cues in a row would not have fitted into one, or it would have become too long."""
    items = said(" ".join(texts), pause=0)
    found = cues(items, EN, given_, end=END)
    for one, two in pairwise(found):
        longer = " ".join([*one.lines, *two.lines]).split()
        assert lines_needed(longer, given_.max_line_length) > given_.max_lines or len(longer) * 0.3 > 7 - 0.3


def lines_needed(words: list[str], width: int) -> int:
    needed, column = 1, len(words[0])
    for word in words[1:]:
        column += 1 + len(word)
        if column > width:
            needed, column = needed + 1, len(word)
    return needed


@given(lines(), st.integers(0, DURATION))
def test_a_cue_is_seen_while_it_is_said(items: list[Item], end: int) -> None:
    """In a sane line of one voice a cue begins with its first word, or later if the cue before needs its time, and ends no
    earlier than its last word, or `PAUSE` before the next cue.
    """
    sane: list[Item] = []
    at = 0
    for item in items:
        if isinstance(item, Word) and item.text.strip():
            at += FRAME
            sane.append(Word(text=item.text, start=at, end=at + item.end - item.start))
            at = sane[-1].end
        elif isinstance(item, Mark) and sane and item.attaches is Attaches.PREVIOUS:
            sane.append(Mark(text=item.text, at=at, ends_sentence=item.ends_sentence))
    found = cues(sane, EN, LIMITS, end=at + end + FRAME)
    starts = {item.start for item in sane if isinstance(item, Word)}
    assert all(cue.start in starts or cue.start > min(starts) for cue in found)
    for one, two in pairwise(found):
        assert one.end >= two.start - PAUSE or one.end <= two.start - NEAR
    if found:
        assert found[0].start in starts
        assert found[-1].end >= at


@pytest.mark.parametrize("count", [20_000])
def test_a_long_line_without_any_end(count: int) -> None:
    items = [w("x" * (index % 9 + 1), 0, 0) for index in range(count)]
    found = check(items, "en", limits(10**6, 10**6), END)
    assert len(found) == 1
    assert len(check([w("字" * count, 0, 100)], "ja", LIMITS, END)) == -(-count // 74)


# --- who speaks


def labelled(items: Sequence[Item], given_: SubtitleLimits = LIMITS, code: str = "en") -> list[tuple[str, ...]]:
    return [cue.lines for cue in cues(items, pack(code), given_, end=END, labelled=True)]


def test_a_label_is_before_the_words_where_the_voice_changes() -> None:
    items = [
        *said("Good morning .", speaker="Anna Bauer"),
        *said("How are you ?", start=10, speaker="Anna Bauer"),
        *said("Well , thanks .", start=20, speaker="S2"),
        *said("Hello .", start=30, channel="left"),
    ]
    assert labelled(items) == [
        ("Anna Bauer: Good morning.",), ("How are you?",), ("S2: Well, thanks.",), ("left: Hello.",),
    ]  # fmt: skip
    assert shown(items) == [("Good morning.",), ("How are you?",), ("Well, thanks.",), ("Hello.",)]


def test_a_label_keeps_to_the_limits_of_lines() -> None:
    items = said("We meet on the 17th at nine .", speaker="Dr. Maximiliane Bauer", pause=0)
    found = labelled(items, limits(16))
    assert " ".join(" ".join(lines) for lines in found) == "Dr. Maximiliane Bauer: We meet on the 17th at nine."
    assert max(len(line) for lines in found for line in lines) <= 16
    assert max(map(len, found)) <= 2


def test_a_language_without_spaces_has_the_label_as_it_is() -> None:
    items = [w("こんにちは", 1, 2, speaker="Anna Bauer")]
    assert labelled(items, code="ja") == [("Anna Bauer:こんにちは",)]
