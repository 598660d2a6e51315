"""The formatting of live finals and partials."""

from sottovoce.pipeline.live.formatting import LiveFormatter
from sottovoce.request import AudioFormat, AudioType, LiveRequest, Replacement
from sottovoce.transcript.languages import pack
from sottovoce.transcript.model import Entity, Item
from tests.unit.transcript.transcript_values import said


def formatter(**asked: object) -> LiveFormatter:
    request = LiveRequest(language="en", audio=AudioFormat(type=AudioType.FILE), **asked)  # type: ignore[arg-type]

    def failed(name: str, error: Exception) -> None:
        raise AssertionError(name) from error

    return LiveFormatter(request, pack("en"), punctuated=True, volume=None, failed=failed)


def line() -> tuple[Item, ...]:
    return tuple(said("it costs two point five million dollars"))


def test_finals_and_partials_have_the_written_form() -> None:
    live = formatter()
    assert [item.text for item in live.partial(line()[:4], 1_000_000)] == ["it", "costs", "two", "point"]
    assert [item.text for item in live.partial(line(), 1_000_000)] == ["it", "costs", "$2.5", "million"]
    assert [item.text for item in live.final(line(), 1_000_000, closing=True)] == ["it", "costs", "$2.5", "million"]


def test_entities_are_shown_when_asked_for() -> None:
    found = formatter(enable_entities=True).final(line(), 1_000_000, closing=True)
    assert isinstance(found[-1], Entity)
    assert (found[-1].text, found[-1].entity_class) == ("$2.5 million", "money")


def test_replacements_and_spelling_work_live() -> None:
    live = formatter(output_locale="en-GB", replacements=(Replacement(source="grand", target="great"),))
    assert [item.text for item in live.final(tuple(said("a grand color")), 1_000_000, closing=True)] == [
        "a",
        "great",
        "colour",
    ]


def test_an_entity_is_not_divided() -> None:
    live = formatter()
    words = line()
    assert live.whole(words, 2) == 2
    assert live.whole(words, 4) == 2, "it costs | two point"
    assert live.whole(words, 7) == 2, "more words may follow the dollars"
    assert live.whole((*words, *said("today we went")), 9) == 9
    assert live.whole(tuple(said("hello there")), 2) == 2
    assert live.whole(tuple(said("hello there .")), 3) == 3
    assert live.whole(tuple(said("call 850 5551 .")), 3) == 1, "the full stop is taken back when speech goes on"


def test_the_words_of_finals_before_decide() -> None:
    live = formatter()
    words = tuple(said("seven three one two two three four"))
    assert [item.text for item in live.partial(words, 1_000_000)] == ["7312234"]
    live.final(tuple(said("my number is")), 1_000_000, closing=False)
    assert live.whole(words, 3) == 0
    assert [item.text for item in live.partial(words, 1_000_000)] == ["731-2234"]
    assert [item.text for item in live.final(words, 1_000_000, closing=True)] == ["731-2234"]
