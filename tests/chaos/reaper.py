"""A reaper without a leader: `python -m tests.chaos.reaper URL LEASE_MS FILE`."""

import asyncio
import sys
from pathlib import Path

from sottovoce.service.metrics import Metrics
from sottovoce.service.queue.backend import open_queue
from sottovoce.service.storage.database import Database
from sottovoce.service.worker.job_reaper import Reaper, ReaperPolicy


async def reap(url: str, lease_ms: int, while_exists: Path) -> None:
    """Run the reaper ten times a second as long as the file *while_exists* exists."""
    database = Database(url)
    reaper = Reaper(
        database,
        open_queue(database),
        Metrics(),
        ReaperPolicy(lease_ms=lease_ms, stranded_ms=2 * lease_ms, keep_ms=1000),
    )
    while while_exists.exists():  # noqa: ASYNC240 - ten times a second, on a local disk
        await reaper.tick()
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(reap(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
