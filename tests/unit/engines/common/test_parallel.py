"""Work on several items at once: results in order, as many at once as are allowed now, and nothing left behind."""

import threading
import time
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.engines.common.parallel import AHEAD, in_order
from tests.examples import examples

PATIENCE = 30  # s, for what happens at once


class Crowd:
    """Work that counts how many are at it; it waits until it is let go, if it is held."""

    def __init__(self, *, held: bool = False) -> None:
        self.begun: list[int] = []
        self.now = self.most = 0
        self._lock = threading.Condition()
        self._free = not held

    def __call__(self, item: int) -> int:
        with self._lock:
            self.begun.append(item)
            self.now += 1
            self.most = max(self.most, self.now)
            self._lock.notify_all()
            self._lock.wait_for(lambda: self._free, PATIENCE)
            self.now -= 1
            self._lock.notify_all()
        return item * 10

    def wait_for(self, number: int) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: self.now == number, PATIENCE)

    def let_go(self) -> None:
        with self._lock:
            self._free = True
            self._lock.notify_all()


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("windows")]


@settings(max_examples=examples(60))
@given(st.lists(st.floats(0, 0.003), max_size=25), st.integers(1, 5), st.integers(1, 6))
def test_results_come_in_the_order_of_their_items(pauses, width, most):
    def work(number):
        time.sleep(pauses[number])
        return number

    assert list(in_order(work, range(len(pauses)), lambda: width, most)) == list(range(len(pauses)))


@pytest.mark.parametrize(("width", "most", "at_once"), [(1, 4, 1), (3, 4, 3), (9, 4, 4), (0, 4, 1), (-1, 2, 1)])
def test_so_many_are_at_work_as_are_allowed(width, most, at_once):
    crowd = Crowd(held=True)
    results = in_order(crowd, range(20), lambda: width, most)
    reader = threading.Thread(target=lambda: got.extend(results))
    got: list[int] = []
    reader.start()
    assert crowd.wait_for(at_once)
    crowd.let_go()
    reader.join(PATIENCE)
    assert got == [10 * number for number in range(20)]
    assert crowd.most == at_once


def test_how_many_are_at_work_changes_while_it_goes_on():
    taken: list[int] = []
    crowds: dict[int, int] = {}
    now = [0]
    lock = threading.Lock()

    def items():
        for number in range(60):
            taken.append(number)
            yield number

    def work(item):
        with lock:
            now[0] += 1
            crowds[item] = now[0]
        time.sleep(0.005)
        with lock:
            now[0] -= 1
        return item

    assert list(in_order(work, items(), lambda: 4 if 20 <= taken[-1] < 40 else 1, 4)) == taken
    assert {crowds[item] for item in range(20)} == {1}
    assert 2 <= max(crowds[item] for item in range(20, 41)) <= 4
    assert {crowds[item] for item in range(41, 60)} == {1}


def test_items_are_taken_on_the_thread_of_the_caller_and_no_earlier_than_needed():
    taken, threads = [], set()

    def items():
        for number in count():
            taken.append(number)
            threads.add(threading.current_thread())
            yield number

    results = in_order(lambda item: item, items(), lambda: 2, 4)
    assert taken == []
    assert next(results) == 0
    assert len(taken) <= 2 * AHEAD + 1
    results.close()  # type: ignore[attr-defined]
    assert threads == {threading.current_thread()}


def test_a_slow_item_holds_up_only_so_many_results():
    gate = threading.Event()
    begun = []

    def work(item):
        begun.append(item)
        if item == 0:
            gate.wait(PATIENCE)
        return item

    got: list[int] = []
    reader = threading.Thread(target=lambda: got.extend(in_order(work, range(100), lambda: 2, 2)))
    reader.start()
    deadline = time.monotonic() + PATIENCE
    while len(begun) < 2 * AHEAD and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(begun) == 2 * AHEAD
    gate.set()
    reader.join(PATIENCE)
    assert got == list(range(100))


@pytest.mark.parametrize("most", [1, 3])
def test_a_fault_comes_in_the_place_of_its_result(most):
    def work(item):
        if item == 3:
            raise LookupError(item)
        return item

    results = in_order(work, range(10), lambda: most, most)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="3"):
        next(results)
    assert workers() == []


@pytest.mark.parametrize("most", [1, 3])
def test_a_fault_of_the_items_reaches_the_caller(most):
    def items():
        yield from range(3)
        raise OSError("the file ends here")

    with pytest.raises(OSError, match="ends here"):
        list(in_order(lambda item: item, items(), lambda: most, most))
    assert workers() == []


def test_closing_early_begins_nothing_more_and_leaves_no_thread():
    crowd = Crowd()
    results = in_order(crowd, count(), lambda: 3, 3)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    begun = len(crowd.begun)
    assert workers() == []
    assert (crowd.now, len(crowd.begun)) == (0, begun)
    assert begun <= 3 * AHEAD + 1


def test_closing_waits_for_what_is_at_work():
    crowd = Crowd(held=True)
    first = threading.Event()

    def work(item):
        if item == 0:
            return 0
        first.set()
        return crowd(item)

    results = in_order(work, range(50), lambda: 2, 2)
    got: list[int] = []

    def read_one():
        got.append(next(results))
        results.close()  # type: ignore[attr-defined]

    reader = threading.Thread(target=read_one)
    reader.start()
    first.wait(1)
    crowd.let_go()
    reader.join(PATIENCE)
    assert not reader.is_alive()
    assert got == [0]
    assert crowd.now == 0
    assert workers() == []


def test_one_at_a_time_needs_no_thread():
    seen = set()

    def work(item):
        seen.add(threading.current_thread())
        return item

    assert list(in_order(work, range(5), lambda: 8, 1)) == [0, 1, 2, 3, 4]
    assert seen == {threading.current_thread()}


@pytest.mark.parametrize("most", [1, 4])
def test_no_items_are_no_work(most):
    assert list(in_order(lambda item: item, [], lambda: 4, most)) == []
