"""The operations on a job that the contract does not have (docs/additions.md)."""

from sottovoce.web.docs.operation import Operation

_JSON = ("application/json",)
_BYTES = ("application/octet-stream",)
_NOT_FOUND = (404, "The key has no such job: `Job not found`.")
_NO_TRANSCRIPT = (
    404,
    "`Job not found`, `Job is not of type transcription`, `Job In Progress`, `Job rejected`.",
)
_GONE = (410, "The job was deleted or has expired: `File Expired`.")
_NAMES = (
    "An addition of this server. The names belong to the job and are deleted with it; the transcript does not change."
)

ADDITIONS: tuple[Operation, ...] = (
    Operation(
        id="get_speaker_names",
        method="GET",
        path="/jobs/{job_id}/speaker-names",
        media_types=_JSON,
        summary="Get the names of the speakers",
        description=f"{_NAMES} The query `speaker_names=true` of the transcript shows them in its formats for people.",
        returns="The names by label.",
        errors=(_NO_TRANSCRIPT, _GONE),
    ),
    Operation(
        id="set_speaker_names",
        method="PUT",
        path="/jobs/{job_id}/speaker-names",
        media_types=_JSON,
        summary="Name the speakers",
        description=f"{_NAMES} Replaces all names of the job; a label that is left out, or has an empty name, has no name then.",
        returns="The names by label.",
        body=(
            ("speakers", "object", "Names by the labels of speakers, as `S1`; at most 100 characters each."),
            ("channels", "object", "Names by the labels of channels, for `diarization: channel`."),
        ),
        errors=(
            (400, "The body is not JSON, or has a label that the transcript does not have: `Bad Request`."),
            (408, "The body did not arrive in time."),
            _NO_TRANSCRIPT,
            _GONE,
            (413, "The body is larger than 256 KiB."),
        ),
    ),
    Operation(
        id="get_peaks",
        method="GET",
        path="/jobs/{job_id}/peaks",
        media_types=_BYTES,
        summary="Get the waveform of the media",
        description="An addition of this server: the lowest and the highest sample of each twentieth of a second, in binary form.",
        returns="The peaks.",
        errors=((404, "`Job not found`, or `Page Not Found`: the job has no peaks (yet)."), _GONE),
    ),
    Operation(
        id="get_playback",
        method="GET",
        path="/jobs/{job_id}/playback",
        media_types=("audio/webm", *_BYTES),
        summary="Get audio that browsers play",
        description="An addition of this server: a copy as WebM with Opus where browsers cannot play the media, else the media.",
        returns="The audio; a part of it for a request with `Range` (206).",
        errors=(_NOT_FOUND, _GONE),
    ),
    Operation(
        id="list_deliveries",
        method="GET",
        path="/jobs/{job_id}/deliveries",
        media_types=_JSON,
        summary="List the notifications of a job",
        description="An addition of this server: each notification, callback and mail of the job, with its attempts and outcome.",
        returns="The deliveries, newest first.",
        errors=(_NOT_FOUND, (410, "The job was deleted or has expired: `Job Expired`.")),
    ),
    Operation(
        id="retry_delivery",
        method="POST",
        path="/jobs/{job_id}/deliveries/{delivery_id}/retry",
        media_types=_JSON,
        summary="Send a notification again",
        description="An addition of this server: a failed delivery is sent again, under the same id and with all its attempts.",
        returns="The delivery.",
        errors=(
            (400, "The delivery has not failed: `Bad Request`."),
            (404, "`Job not found`, or `Page Not Found`: the job has no such delivery."),
        ),
    ),
)
