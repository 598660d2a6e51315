"""Token buckets: a burst at once, a rate on the whole, a key for itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.errors import Refused
from sottovoce.service.limits.rate_limits import RateLimit, RateLimited
from sottovoce.service.limits.token_bucket import TokenBuckets


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def granted(buckets: TokenBuckets, name: str, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            buckets.take(name)
        except Refused:
            break
        count += 1
    return count


def test_a_burst_is_granted_and_no_more():
    buckets = TokenBuckets(RateLimit(rate=1, burst=5), Clock())
    assert granted(buckets, "a", 10) == 5
    assert granted(buckets, "b", 10) == 5


def test_time_fills_a_bucket_up_to_its_burst():
    clock = Clock()
    buckets = TokenBuckets(RateLimit(rate=2, burst=5), clock)
    granted(buckets, "a", 10)
    clock.now = 1.0
    assert granted(buckets, "a", 10) == 2
    clock.now = 1000.0
    assert granted(buckets, "a", 10) == 5


@pytest.mark.parametrize(("rate", "after"), [(0.1, 10), (1.0, 1), (50.0, 1)])
def test_a_refusal_says_when_to_come_again(rate, after):
    clock = Clock()
    buckets = TokenBuckets(RateLimit(rate=rate, burst=1), clock)
    buckets.take("a")
    with pytest.raises(RateLimited) as refused:
        buckets.take("a")
    assert refused.value.after == after
    clock.now = float(after)
    buckets.take("a")


def test_full_buckets_are_forgotten():
    clock = Clock()
    buckets = TokenBuckets(RateLimit(rate=1, burst=2), clock)
    for number in range(1000):
        buckets.take(str(number))
    clock.now = 10.0
    buckets.take("another")
    assert list(buckets._held) == ["another"]


@given(st.floats(0.01, 100), st.integers(1, 20), st.floats(0, 20))
def test_who_waits_as_long_as_he_was_told_gets_a_token(rate, burst, pause):
    clock = Clock()
    buckets = TokenBuckets(RateLimit(rate=rate, burst=burst), clock)
    granted(buckets, "a", burst)
    clock.now = pause
    granted(buckets, "a", burst)
    with pytest.raises(RateLimited) as refused:
        buckets.take("a")
    clock.now += refused.value.after
    buckets.take("a")


@given(st.lists(st.floats(0, 5), max_size=200), st.floats(0.1, 20), st.integers(1, 20))
def test_no_more_is_ever_granted_than_the_rule(pauses, rate, burst):
    clock = Clock()
    buckets = TokenBuckets(RateLimit(rate=rate, burst=burst), clock)
    count = 0
    for pause in pauses:
        clock.now += pause
        count += granted(buckets, "a", 3)
        assert count <= burst + rate * clock.now + 1e-6
