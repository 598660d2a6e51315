"""All operations of the API, with the texts of the reference.

In order: `OPERATIONS` (batch V2), `MANAGEMENT` (keys and projects), `DISCOVERY` (features and regions), `LEGACY` (V1).
"""

from typing import Any

from sottovoce.web.docs.operation import Operation
from sottovoce.wire.formats.table import DEFAULT, FORMATS

_WAIT = (
    "wait",
    "integer",
    "Seconds to wait for the end of the job; 0: do not wait. Out-of-range values are clamped.",
)
_APP = ("sm-app", "string", "Name of the calling application, for the usage reports; at most 100 characters.")
_FORMAT = ("format", "string", f"One of {', '.join(FORMATS)}; the default is {DEFAULT}.")
_NAMED = (
    "speaker_names",
    "boolean",
    "For txt, srt, vtt and docx: the names that people gave to the speakers, in place of the labels. An addition of this server.",
)
_LIFECYCLE = (
    "lifecycle",
    "boolean",
    "Add the member `lifecycle`, an addition of this server: `state`, `progress`, and after the end `ended_at`, `delete_at`.",
)
_NOT_FOUND = (404, "The key has no such job: `Job not found`.")
_NOT_ALIGNED = (404, "`Job not found`, `Job is not of type alignment`.")
_FILE_GONE = (410, "The job was deleted or has expired: `File Expired`.")
_WAIT_TYPE = (422, "`wait` is not a whole number.")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        id="create_job",
        method="POST",
        path="/jobs",
        status=201,
        summary="Create a job",
        description="Send media and a JobConfig. The response is sent after the job is stored durably: it survives a restart.",
        returns="The id of the job; with `wait` also its status and, if it is done, its transcript.",
        query=(
            _WAIT,
            ("format", "string", "With `wait`: the format of the transcript in the response; not docx."),
            _APP,
        ),
        headers=(
            ("Idempotency-Key", "A repeated request with the same key returns the id of the first job."),
            (
                "Retention-Seconds",
                "Seconds to keep the job after its end, in place of the default; 0: until it was delivered.",
            ),
        ),
        form=(
            ("config", "json", 'JobConfig, e.g. `{"type":"transcription","transcription_config":{"language":"en"}}`'),
            (
                "data_file",
                "file",
                "The media (wav, mp3, aac, ogg, mpeg, amr, m4a, mp4, flac, video), unless the config has `fetch_data`.",
            ),
            (
                "text_file",
                "file",
                "For `type: alignment`: the text, plain UTF-8, unless the config has `fetch_text`.",
            ),
        ),
        errors=(
            (
                400,
                (
                    "`Job rejected` (the detail names the field), `Job rejected due to invalid audio`, `Missing data_file` …; "
                    "for an alignment also `Job rejected due to invalid text`, `Missing text_file`."
                ),
            ),
            (403, "The key is not permitted to do this, or (where jobs are billed) the account has too few credits."),
            (404, "The `format` is unknown: `Format Not Supported`."),
            (408, "The body did not arrive in time."),
            (413, "The media is larger than this server accepts."),
            (422, "A query parameter is of the wrong type."),
            (507, "The server has no storage space for the media."),
        ),
    ),
    Operation(
        id="list_jobs",
        method="GET",
        path="/jobs",
        summary="List jobs",
        description="Newest first. Without `limit`: the 100 newest of the last 7 days.",
        returns="The jobs.",
        query=(
            ("limit", "integer", "The number of jobs, 1 to 100."),
            ("created_before", "string", "RFC 3339; only jobs created before this instant, to the millisecond."),
            ("created_after", "string", "RFC 3339; only jobs created after this instant."),
            ("include_deleted", "boolean", "Include jobs that were deleted or have expired."),
            _LIFECYCLE,
        ),
        errors=((422, "A query parameter is out of range or of the wrong type."),),
    ),
    Operation(
        id="get_job",
        method="GET",
        path="/jobs/{job_id}",
        summary="Get a job",
        description="The response is sent when the job has ended, at the latest after `wait` seconds.",
        returns="The job with its status and config.",
        query=(_WAIT, _LIFECYCLE),
        errors=(_NOT_FOUND, (410, "The job was deleted or has expired: `Job Expired`."), _WAIT_TYPE),
    ),
    Operation(
        id="delete_job",
        method="DELETE",
        path="/jobs/{job_id}",
        summary="Delete a job",
        description="Media, transcript, config and log are removed at once.",
        returns="The deleted job.",
        query=(("force", "boolean", "Delete the job even if it is running."),),
        errors=(
            _NOT_FOUND,
            (410, "The job was already deleted or has expired: `Job Expired`."),
            (422, "`force` is not a boolean."),
            (423, "The job is running and `force` is not set: `Resource Locked`."),
        ),
    ),
    Operation(
        id="get_transcript",
        method="GET",
        path="/jobs/{job_id}/transcript",
        summary="Get a transcript",
        description=f"The formats: {', '.join(f'{each.name} ({each.title})' for each in FORMATS.values())}.",
        returns="The transcript in the requested format.",
        media_types=(
            "application/json",
            "application/vnd.speechmatics.v2+json",
            "text/plain",
            FORMATS["docx"].media_type,
        ),
        query=(_FORMAT, _NAMED, _WAIT),
        errors=(
            (404, "`Job not found`, `Job In Progress`, `Job rejected`, `Format Not Supported`."),
            _FILE_GONE,
            _WAIT_TYPE,
        ),
    ),
    Operation(
        id="get_data",
        method="GET",
        path="/jobs/{job_id}/data",
        summary="Get the media of a job",
        description="The bytes as they were submitted.",
        returns="The media.",
        media_types=("application/octet-stream",),
        errors=(_NOT_FOUND, _FILE_GONE),
    ),
    Operation(
        id="get_text",
        method="GET",
        path="/jobs/{job_id}/text",
        summary="Get the text of an alignment job",
        description="The bytes as they were submitted.",
        returns="The text.",
        media_types=("text/plain",),
        errors=(_NOT_ALIGNED, _FILE_GONE),
    ),
    Operation(
        id="get_alignment",
        method="GET",
        path="/jobs/{job_id}/alignment",
        summary="Get an aligned text",
        description=(
            "The submitted text with times: `<time=0.12>Hello<time=0.41>` around each word, or `[00:00:00.1]` and a tab before "
            "each line. The rest of the text is unchanged."
        ),
        returns="The text with times.",
        media_types=("text/plain",),
        query=(
            ("tags", "string", "word_start_and_end (default) or one_per_line."),
            _WAIT,
        ),
        errors=(
            (
                404,
                "`Job not found`, `Job is not of type alignment`, `Job In Progress`, `Job rejected`, `Format Not Supported`.",
            ),
            _FILE_GONE,
            _WAIT_TYPE,
        ),
    ),
    Operation(
        id="get_log",
        method="GET",
        path="/jobs/{job_id}/log",
        summary="Get the log of a job",
        description="The stages with their times, the engine that ran, and why it was chosen.",
        returns="The log, one line per event.",
        media_types=("text/plain",),
        errors=((404, "`Job not found`, `Log file not available`."), _FILE_GONE),
    ),
    Operation(
        id="get_usage",
        method="GET",
        path="/usage",
        summary="Get the usage",
        description=(
            "The number of jobs done in this region, and the hours of their media, for all projects of the key's workspace. Whole "
            "UTC days, without the current day. Jobs that were deleted later are included."
        ),
        returns="The number of jobs and the hours of media, by job type, and also by language and operating point.",
        query=(
            ("since", "string", "YYYY-MM-DD, the first day; default: the day of the first job that was done."),
            ("until", "string", "YYYY-MM-DD, the last day; default: yesterday."),
            (
                "by",
                "string",
                "`day` or `project`: the answer also has `days` or `projects`. An addition of this server.",
            ),
            ("project_id", "integer", "Only the usage of this project. An addition of this server."),
        ),
        errors=(
            (403, "The key has a `client_ref`: `Forbidden`."),
            (
                422,
                "`since` or `until` is not a date, `by` is another word, or `by=day` is asked for more than 400 days.",
            ),
        ),
    ),
)

_JSON = ("application/json",)
_NO_PROJECT = (404, "The key has no such project.")
_NO_MANAGER = (403, "The key is not a managing key, or is temporary.")
_NOT_JSON = (400, "The body is not JSON.")
_INVALID_BODY = (422, "A member of the body is of the wrong type or out of range; `message` names it.")
_NO_KEY = (403, "No key, an unknown key, or a key that is not permitted to do this.")

MANAGEMENT: tuple[Operation, ...] = (
    Operation(
        id="list_api_keys",
        tag="management",
        method="GET",
        path="/api-keys",
        stranger=403,
        media_types=_JSON,
        summary="List keys",
        description="All active permanent keys of the workspace. `/api_keys` is an alias of this path.",
        returns="The keys, without their values.",
        query=(
            ("project_id", "integer", "Only the keys of this project."),
            ("manages", "boolean", "true: each key has `manages`. An addition of this server."),
        ),
        errors=(
            _NO_KEY,
            _NO_PROJECT,
            (422, "`project_id` is not a whole number, or `manages` is neither true nor false."),
        ),
    ),
    Operation(
        id="create_api_key",
        tag="management",
        method="POST",
        path="/api-keys",
        stranger=403,
        status=201,
        media_types=_JSON,
        summary="Create a key",
        description=(
            "With `ttl` a temporary key (a JWT), which any permanent key may request; without `ttl` a permanent key, which only a "
            "managing key may request. `key_value` is shown only once. `/api_keys` is an alias of this path."
        ),
        returns="The value of the key and, for a permanent key, its id.",
        query=(("type", "string", "batch (default) or rt: the product that a temporary key opens."),),
        body=(
            ("ttl", "integer", "Lifetime of a temporary key in seconds, 60 to 86400."),
            (
                "client_ref",
                "string",
                "Limits a key for batch to jobs with the same reference. Ignored for rt.",
            ),
            ("project_id", "integer", "The project of the new key; default: the project of the requesting key."),
            ("name", "string", "Name of a permanent key, at most 120 characters."),
            ("region", "string", "Ignored: a key for batch belongs to the region whose address was called."),
        ),
        errors=(_NO_KEY, _NO_PROJECT, _NOT_JSON, _INVALID_BODY),
    ),
    Operation(
        id="delete_api_key",
        tag="management",
        method="DELETE",
        path="/api-keys/{apikey_id}",
        stranger=403,
        media_types=_JSON,
        summary="Revoke a key",
        description="The key and every temporary key that it issued stop working within two seconds.",
        returns="`status`: OK.",
        errors=(_NO_KEY, (404, "No active key has this id.")),
    ),
    Operation(
        id="list_projects",
        tag="management",
        method="GET",
        path="/projects",
        media_types=_JSON,
        summary="List projects",
        description="All projects of the workspace.",
        returns="The projects.",
        errors=(_NO_MANAGER,),
    ),
    Operation(
        id="create_project",
        tag="management",
        method="POST",
        path="/projects",
        status=201,
        media_types=_JSON,
        summary="Create a project",
        description="A workspace may have 1000 projects.",
        returns="The new project.",
        body=(
            ("name", "string", "At most 120 characters; required."),
            ("description", "string", "At most 1000 characters."),
        ),
        errors=(_NO_MANAGER, _NOT_JSON, _INVALID_BODY),
    ),
    Operation(
        id="get_project",
        tag="management",
        method="GET",
        path="/projects/{project_id}",
        media_types=_JSON,
        summary="Get a project",
        description="One project of the workspace.",
        returns="The project.",
        errors=((400, "The id is not a number."), _NO_MANAGER, _NO_PROJECT),
    ),
    Operation(
        id="rename_project",
        tag="management",
        method="PUT",
        path="/projects/{project_id}",
        media_types=_JSON,
        summary="Rename a project",
        description="The id and the keys of the project do not change.",
        returns="The renamed project.",
        body=(("name", "string", "At most 120 characters; required."),),
        errors=(_NO_MANAGER, _NO_PROJECT, _NOT_JSON, _INVALID_BODY),
    ),
    Operation(
        id="delete_project",
        tag="management",
        method="DELETE",
        path="/projects/{project_id}",
        status=204,
        media_types=(),
        summary="Delete a project",
        description=(
            "Its keys stop working, and its jobs are removed with media and transcripts. The default project cannot be deleted."
        ),
        returns="No body.",
        errors=((403, "It is the default project, or the key is not a managing key."), _NO_PROJECT),
    ),
)

DISCOVERY: tuple[Operation, ...] = (
    Operation(
        id="features",
        tag="discovery",
        method="GET",
        path="/discovery/features",
        stranger=0,
        media_types=_JSON,
        summary="List the features of this region",
        description="The languages, locales and features of its engines, for batch and realtime. Needs no key.",
        returns="The features of each mode that is offered, and the language packs.",
    ),
    Operation(
        id="regions",
        tag="discovery",
        method="GET",
        path="/regions",
        stranger=0,
        media_types=_JSON,
        summary="List the regions",
        description="This region and the others, with their modes and, if configured, their addresses. Needs no key.",
        returns="The name of this region, and all regions.",
    ),
)

_USER = "/user/{user_id}"
_NO_JOB = (404, "`Job not found`.")
_CHOSEN = (
    ("limit", "integer", "The number of the most recent entries to return."),
    ("startdate", "string", "YYYY-MM-DD: only entries since that day, UTC."),
    ("enddate", "string", "YYYY-MM-DD: only entries before that day."),
)
_ODD_QUERY = (400, "`Malformed request`.")


def _legacy(operation_id: str, path: str, summary: str, description: str, **more: Any) -> Operation:
    """An operation of V1; the query parameter `auth_token` is any key of the user (a bearer key works as well)."""
    if path != "/status":
        token = ("auth_token", "string", "An API key of this user; or send `Authorization: Bearer <key>`.")
        more["query"] = (token, *more.get("query", ()))
    return Operation(
        id=operation_id,
        tag="legacy",
        method=more.pop("method", "GET"),
        path=path,
        summary=summary,
        description=description,
        media_types=more.pop("media_types", _JSON),
        **more,
    )


LEGACY: tuple[Operation, ...] = (
    _legacy(
        "v1_user",
        _USER,
        "V1: get an account",
        "The balance in credits, the e-mail address and the id of the account.",
        returns="The account.",
    ),
    _legacy(
        "v1_payments",
        f"{_USER}/payments",
        "V1: list payments",
        "Newest first.",
        returns="The payments.",
        query=_CHOSEN,
        errors=(_ODD_QUERY,),
    ),
    _legacy(
        "v1_jobs",
        f"{_USER}/jobs",
        "V1: list jobs",
        "In ascending order of their ids.",
        returns="The jobs.",
        query=_CHOSEN,
        errors=(_ODD_QUERY,),
    ),
    _legacy(
        "v1_create_job",
        f"{_USER}/jobs",
        "V1: create a job",
        "Send media to be transcribed, or media and a text to be aligned.",
        returns="The id of the job, its cost, the balance after it, and the seconds to wait before the first status request.",
        method="POST",
        query=(_APP,),
        form=(
            ("data_file", "file", "The media. An empty file is accepted, costs no credits, and is done at once."),
            (
                "text_file",
                "file",
                "A text in UTF-8 to be aligned with the media; without it the media is transcribed.",
            ),
            ("model", "text", "en, en-US, en-GB, en-AU, or the code of another supported language."),
            ("notification", "optional", "email (default), callback or none."),
            ("notification_email_address", "optional", "The address for the mail; default: the registered address."),
            ("callback", "optional", "The URL to be called, for notification callback."),
            ("meta", "optional", "Text of the caller, at most 1024 characters."),
            ("diarisation", "optional", "true (default) or false."),
        ),
        errors=(
            (
                400,
                "`Missing data_file`, `No language selected`, `Requested product not available`, `Missing callback` …",
            ),
            (403, "`Job rejected due to invalid audio`, `Insufficient Credit`."),
            (408, "The body did not arrive in time."),
            (413, "The media is larger than this server accepts."),
        ),
    ),
    _legacy(
        "v1_job",
        _USER + "/jobs/{job_id}",
        "V1: get a job",
        "`check_wait` is the number of seconds to wait before the next request, null when the job has ended.",
        returns="The job.",
        errors=(_ODD_QUERY, _NO_JOB),
    ),
    _legacy(
        "v1_transcript",
        _USER + "/jobs/{job_id}/transcript",
        "V1: get a transcript",
        "JSON (format 1.0) or plain text.",
        returns="The transcript.",
        media_types=("application/json", "text/plain"),
        query=(("format", "string", "txt for plain text."),),
        errors=(
            _ODD_QUERY,
            (
                404,
                "`Job not found`, `Job In Progress`, `Job was rejected on submission`, `Output format Not Supported`.",
            ),
        ),
    ),
    _legacy(
        "v1_alignment",
        _USER + "/jobs/{job_id}/alignment",
        "V1: get an aligned text",
        "The submitted text with times.",
        returns="The text with times.",
        media_types=("text/plain",),
        query=(("tags", "string", "word_start_and_end (default) or one_per_line."),),
        errors=(_ODD_QUERY, (404, "`Job not found`, `Job is not of type alignment`, `Job In Progress` …")),
    ),
    _legacy(
        "v1_status",
        "/status",
        "V1: get the service status",
        "Turnaround, queue and known issues. Needs no key.",
        returns="The service status.",
        stranger=0,
    ),
)
