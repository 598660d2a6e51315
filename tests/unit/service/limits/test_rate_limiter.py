"""Which pace counts for which request, and what is counted when one is refused."""

import asyncio

import pytest

from sottovoce.bootstrap import plan, rate_limits
from sottovoce.service.limits import rate_limiter as module
from sottovoce.service.limits.quotas import PROFILES
from sottovoce.service.limits.rate_limiter import RateLimiter
from sottovoce.service.limits.rate_limits import RateLimit, RateLimited, RateLimits
from sottovoce.service.metrics import Metrics
from sottovoce.service.storage.database import Database
from sottovoce.settings import Settings
from tests.log_records import warnings
from tests.unit.service.service_values import migrated

PACES = RateLimits(submit=RateLimit(rate=1, burst=2), read=RateLimit(rate=1, burst=3))


def refused(metrics: Metrics, rule: str) -> float:
    lines = metrics.render().decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if f'limited_total{{rule="{rule}"}}' in line), 0.0)


async def granted(rates: RateLimiter, *methods: str, key: str = "k") -> int:
    count = 0
    for method in methods:
        try:
            await rates.take(key, method)
        except RateLimited:
            continue
        count += 1
    return count


def test_new_jobs_have_one_pace_and_all_other_requests_another(tmp_path):
    metrics = Metrics()
    with migrated(tmp_path) as database:
        rates = RateLimiter(PACES, database, metrics, lambda: 0.0)
        assert asyncio.run(granted(rates, "POST", "POST", "POST")) == 2
        assert asyncio.run(granted(rates, "GET", "HEAD", "DELETE", "GET", "DELETE")) == 3
        assert (refused(metrics, "submit"), refused(metrics, "read")) == (1, 2)
        assert asyncio.run(granted(rates, "GET", "POST", key="another")) == 2
        assert not rates.shared
        asyncio.run(rates.forget())


def test_without_its_database_a_process_keeps_to_the_paces_by_itself(caplog):
    database = Database("postgresql://nobody@127.0.0.1:9/none")
    metrics = Metrics()
    try:
        rates = RateLimiter(PACES, database, metrics, lambda: 0.0)
        assert rates.shared
        assert asyncio.run(granted(rates, *["GET"] * 5, *["POST"] * 5)) == 5
    finally:
        database.close()
    assert (refused(metrics, "submit"), refused(metrics, "read")) == (3, 2)
    assert warnings(caplog) == ["limits not shared"]


def test_the_vendors_limits_are_the_contracts():
    vendor = PROFILES["vendor"]
    assert (vendor.rate_limits.submit.rate, vendor.rate_limits.read.rate, vendor.live_jobs) == (10, 50, 20_000)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_what_is_not_set(name):
    assert rate_limits(Settings(limits=name)) == PROFILES[name].rate_limits
    changed = rate_limits(Settings(limits=name, submit_rate=3, read_burst=7))
    usual = PROFILES[name].rate_limits
    assert changed.submit == RateLimit(rate=3, burst=usual.submit.burst)
    assert changed.read == RateLimit(rate=usual.read.rate, burst=7)


@pytest.mark.parametrize(("given", "most"), [({}, None), ({"limits": "vendor"}, 20_000), ({"max_jobs": 3}, 3)])
def test_the_most_jobs_are_the_profiles_unless_they_are_set(given, most, tmp_path):
    assert plan(Settings(data_dir=tmp_path, **given)).quota.live_jobs == most


def test_buckets_stay_in_the_database_until_they_are_full(monkeypatch, tmp_path):
    asked = []

    class Shared:
        async def forget(self, seconds: float) -> int:
            asked.append(seconds)
            return 0

    with migrated(tmp_path) as database:
        rates = RateLimiter(RateLimits(read=RateLimit(rate=0.01, burst=100)), database, Metrics(), lambda: 0.0)
        monkeypatch.setattr(rates, "_shared", Shared())
        asyncio.run(rates.forget())
        rates = RateLimiter(RateLimits(), database, Metrics(), lambda: 0.0)
        monkeypatch.setattr(rates, "_shared", Shared())
        asyncio.run(rates.forget())
    assert asked == [10_000, module.KEPT]
