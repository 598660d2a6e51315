import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.wire.v2 import job_log
from sottovoce.wire.v2.job_log import Line

AT = 1_611_424_735_559  # 2021-01-23T17:58:55.559Z
SHAPE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ *sottovoce\.\S+( \[attempt \d+\])? .*", re.ASCII)


def line(text: str = "Loading model 'en'", *, level: str = "INFO", attempt: int = 1) -> Line:
    return Line(at=AT, level=level, stage="recognise", attempt=attempt, text=text)


def test_no_lines_no_text() -> None:
    assert job_log.render([]) == ""


def test_the_contracts_layout() -> None:
    assert job_log.render([line()]) == (
        "2021-01-23 17:58:55,559 INFO    sottovoce.recognise [attempt 1] Loading model 'en'\n"
    )


def test_before_any_worker_had_it_there_is_no_attempt() -> None:
    assert job_log.render([line("accepted", attempt=0)]) == (
        "2021-01-23 17:58:55,559 INFO    sottovoce.recognise accepted\n"
    )


@pytest.mark.parametrize("level", ["INFO", "WARNING", "ERROR"])
def test_the_columns_stand_below_one_another(level: str) -> None:
    assert job_log.render([line(level=level)]).index("sottovoce.") == len("2021-01-23 17:58:55,559 INFO    ")


@pytest.mark.parametrize("broken", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_text_cannot_forge_a_line(broken: str) -> None:
    forged = f"said{broken}2021-01-23 17:58:55,559 INFO    sottovoce.recognise all is well"
    rendered = job_log.render([line(forged)])
    assert len(rendered.splitlines()) == 1
    assert rendered.startswith("2021-01-23 17:58:55,559 INFO    sottovoce.recognise [attempt 1] said 2021-01-23 ")
    assert rendered.endswith(" all is well\n")


@given(st.lists(st.text(max_size=40), max_size=5))
def test_as_many_lines_as_were_given(texts: list[str]) -> None:
    rendered = job_log.render(line(text) for text in texts)
    assert len(rendered.splitlines()) == len(texts)
    assert rendered == "" or rendered.endswith("\n")
    assert all(SHAPE.fullmatch(shown) for shown in rendered.splitlines())
