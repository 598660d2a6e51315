"""Where the data of a job is stored: the keys of its blobs."""

import logging

from sottovoce.inference import messages as m

_log = logging.getLogger(__name__)


def media_key(job_id: str) -> str:
    """Where a job's media lies."""
    return f"jobs/{job_id}/input"


def text_key(job_id: str) -> str:
    """Where the text of an alignment job lies."""
    return f"jobs/{job_id}/text"


def result_key(job_id: str, attempt: int) -> str:
    """Where an attempt's transcript lies."""
    return f"jobs/{job_id}/{attempt}/transcript"


def _windows_prefix(job_id: str, key: m.EngineKey | None = None) -> str:
    """Where kept windows lie; an engine goes on only from windows of its own."""
    return f"jobs/{job_id}/windows/" + (f"{key.engine}-{key.model}/" if key else "")
