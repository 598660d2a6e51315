import time

import pytest
import sqlalchemy as sa

from sottovoce.service.storage.database import sqlite_engine


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN DEFERRED", None])
def test_every_sqlite_knows_the_time_as_the_queue_asks_for_it(tmp_path, begin):
    """Debian 12 has 3.40, which answers NULL; the queue's tables do not take it."""
    engine = sqlite_engine(f"sqlite:///{tmp_path}/some.db", pool=1, begin=begin)
    try:
        with engine.connect() as connection:
            now = connection.execute(sa.text("SELECT unixepoch('subsec') * 1000")).scalar_one()
    finally:
        engine.dispose()
    assert now == pytest.approx(time.time() * 1000, abs=60_000)
