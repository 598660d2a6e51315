"""Finds the blobs of a job that are no longer needed, for the cleanup after an attempt and for the retention sweep."""

from collections.abc import Iterable

from sottovoce.job import LIVE, REMOVED
from sottovoce.service.jobs.model import Job


def obsolete(job: Job, keys: Iterable[str]) -> list[str]:
    """Those of *keys*, blobs of *job*, that may be deleted: none of a live job, all of a removed job.

    Of an ended job: windows and stretches, results of other attempts, and partial fetches. Results of attempts later than
    `job.attempt` stay, because *job* may be stale.
    """
    if job.state in REMOVED:
        return list(keys)
    if job.state in LIVE:
        return []
    return [key for key in keys if key != job.result_key and _is_leftover(key, job)]


def _is_leftover(key: str, job: Job) -> bool:
    part = key.removeprefix(f"jobs/{job.id}/").partition("/")[0]
    return part in {"windows", "progress", "fetch"} or (part.isdecimal() and int(part) <= job.attempt)
