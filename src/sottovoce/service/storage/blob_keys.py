"""The keys of a job's blobs."""

from sottovoce.engines.engine import EngineKey


def media_key(job_id: str) -> str:
    """Return the key of a job's media."""
    return f"jobs/{job_id}/input"


def text_key(job_id: str) -> str:
    """Return the key of the text of an alignment job."""
    return f"jobs/{job_id}/text"


def peaks_key(job_id: str) -> str:
    """Return the key of the peaks of a job's waveform (docs/additions.md)."""
    return f"jobs/{job_id}/peaks"


def playback_key(job_id: str) -> str:
    """Return the key of the copy of a job's media for browsers."""
    return f"jobs/{job_id}/playback"


def result_key(job_id: str, attempt: int) -> str:
    """Return the key of an attempt's transcript."""
    return f"jobs/{job_id}/{attempt}/transcript"


def windows_prefix(job_id: str, key: EngineKey | None = None) -> str:
    """Return the key prefix of a job's stored windows; with *key*, of one engine and model, which reuse only their own."""
    return f"jobs/{job_id}/windows/" + (f"{key.engine}-{key.model}/" if key else "")


def progress_prefix(job_id: str) -> str:
    """Return the key prefix of the stretches of a running job that clients read along."""
    return f"jobs/{job_id}/progress/"


def progress_key(job_id: str, start: int) -> str:
    """Return the key of the stretch that begins at sample *start*; keys are in the order of the media."""
    return f"{progress_prefix(job_id)}{start:015}"
