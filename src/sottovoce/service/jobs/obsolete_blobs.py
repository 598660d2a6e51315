"""Which blobs of a job nobody needs any more: the one rule behind tidying after an attempt and behind the sweep."""

from collections.abc import Iterable

from sottovoce.job import LIVE, REMOVED
from sottovoce.service.jobs.model import Job


def obsolete(job: Job, keys: Iterable[str]) -> list[str]:
    """Those of *keys*, all of them *job*'s, that may go: nothing of a live job, everything of a removed one.

    Of any other: windows, results of attempts that lost, what was fetched in part. *job* may be stale by now, an attempt of
    later date is spared.
    """
    if job.state in REMOVED:
        return list(keys)
    if job.state in LIVE:
        return []
    return [key for key in keys if key != job.result_key and _lost(key, job)]


def _lost(key: str, job: Job) -> bool:
    part = key.removeprefix(f"jobs/{job.id}/").partition("/")[0]
    return part in {"windows", "fetch"} or (part.isdecimal() and int(part) <= job.attempt)
