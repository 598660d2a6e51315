"""A reaper without a leader: `python -m tests.chaos.reaper URL LEASE_MS SECONDS`."""

import asyncio
import sys
import time

from sottovoce.service.metrics import Metrics
from sottovoce.service.queue.backend import open_queue
from sottovoce.service.storage.database import Database
from sottovoce.service.worker.job_reaper import Reaper, ReaperPolicy


async def reap(url: str, lease_ms: int, seconds: float) -> None:
    """Run the reaper ten times a second for *seconds*."""
    database = Database(url)
    reaper = Reaper(
        database,
        open_queue(database),
        Metrics(),
        ReaperPolicy(lease_ms=lease_ms, stranded_ms=2 * lease_ms, keep_ms=1000),
    )
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        await reaper.tick()
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(reap(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
