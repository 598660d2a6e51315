"""Every operation of the API: what the reference says of each, and which address has it."""

from typing import Any

from sottovoce.web.docs.operation import Operation

_WAIT = ("wait", "integer", "Seconds to wait for the end of the job; 0 answers at once. Clamped, never refused.")
_APP = ("sm-app", "string", "Name of the calling application, for the operator's figures; at most 100 characters.")
_FORMAT = ("format", "string", "json-v2 (default), txt, srt or vtt.")
_NOT_FOUND = (404, "No such job for this key: `Job not found`.")
_NOT_ALIGNED = (404, "`Job not found`, `Job is not of type alignment`.")
_FILE_GONE = (410, "Deleted or expired: `File Expired`.")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        id="create_job",
        method="POST",
        path="/jobs",
        status=201,
        summary="Create a job",
        description="Send media and a JobConfig. The answer is sent once the job is durable: it survives any restart.",
        query=(_WAIT, ("format", "string", "With `wait`: the format of the transcript in the answer."), _APP),
        headers=(
            ("Idempotency-Key", "The same key again, with the same request, answers with the first job's id."),
            (
                "Retention-Seconds",
                "How long the job is kept after its end, if not as long as usual; 0: until it was delivered.",
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
                    "of an alignment also `Job rejected due to invalid text`, `Missing text_file`."
                ),
            ),
            (403, "The key may not do this, or (where jobs are billed) the account has too few credits."),
            (404, "Unknown `format`: `Format Not Supported`."),
            (408, "The body did not arrive in time."),
            (413, "The media is larger than this server accepts."),
            (422, "A query parameter is of the wrong type."),
            (507, "No room for the media."),
        ),
    ),
    Operation(
        id="list_jobs",
        method="GET",
        path="/jobs",
        summary="List jobs",
        description="Newest first. Without `limit`: the 100 newest of the last 7 days.",
        query=(
            ("limit", "integer", "How many, 1 to 100."),
            ("created_before", "string", "RFC 3339; only jobs created before this instant, to the millisecond."),
            ("created_after", "string", "RFC 3339; only jobs created after this instant."),
            ("include_deleted", "boolean", "Also those that were deleted or have expired."),
        ),
        errors=((422, "A query parameter is out of range or of the wrong type."),),
    ),
    Operation(
        id="get_job",
        method="GET",
        path="/jobs/{job_id}",
        summary="Look at a job",
        description="Answers as soon as the job has ended, at the latest when the wait is over.",
        query=(_WAIT,),
        errors=(_NOT_FOUND, (410, "Deleted or expired: `Job Expired`."), (422, "`wait` is no whole number.")),
    ),
    Operation(
        id="delete_job",
        method="DELETE",
        path="/jobs/{job_id}",
        summary="Delete a job",
        description="Media, transcript, config and log are removed at once.",
        query=(("force", "boolean", "Also when the job is still running."),),
        errors=(
            _NOT_FOUND,
            (410, "Deleted or expired already: `Job Expired`."),
            (422, "`force` is no truth value."),
            (423, "Still running, and no `force`: `Resource Locked`."),
        ),
    ),
    Operation(
        id="get_transcript",
        method="GET",
        path="/jobs/{job_id}/transcript",
        summary="Get a transcript",
        description="JSON (format 2.9), plain text, SubRip or WebVTT (the last is our addition).",
        media_types=("application/json", "application/vnd.speechmatics.v2+json", "text/plain"),
        query=(_FORMAT, _WAIT),
        errors=(
            (404, "`Job not found`, `Job In Progress`, `Job rejected`, `Format Not Supported`."),
            _FILE_GONE,
            (422, "`wait` is no whole number."),
        ),
    ),
    Operation(
        id="get_data",
        method="GET",
        path="/jobs/{job_id}/data",
        summary="Get the media back",
        description="The bytes as they were submitted.",
        media_types=("application/octet-stream",),
        errors=(_NOT_FOUND, _FILE_GONE),
    ),
    Operation(
        id="get_text",
        method="GET",
        path="/jobs/{job_id}/text",
        summary="Get the text back",
        description="Of an alignment job: the bytes as they were submitted.",
        media_types=("text/plain",),
        errors=(_NOT_ALIGNED, _FILE_GONE),
    ),
    Operation(
        id="get_alignment",
        method="GET",
        path="/jobs/{job_id}/alignment",
        summary="Get an aligned text",
        description=(
            "The submitted text with times: `<time=0.12>Hello<time=0.41>` round each word, or `[00:00:00.1]` and a tab before each "
            "line. Nothing else of it is changed."
        ),
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
            (422, "`wait` is no whole number."),
        ),
    ),
    Operation(
        id="get_log",
        method="GET",
        path="/jobs/{job_id}/log",
        summary="Read the log of a job",
        description="Stages, times, which engine ran and why.",
        media_types=("text/plain",),
        errors=((404, "`Job not found`, `Log file not available`."), _FILE_GONE),
    ),
    Operation(
        id="get_usage",
        method="GET",
        path="/usage",
        summary="Look at usage",
        description=(
            "Jobs that were done in this region, and the hours of their media, for all projects of the key's workspace. Whole UTC "
            "days, never the current one. Jobs that were deleted since count."
        ),
        query=(
            ("since", "string", "YYYY-MM-DD, the first day; default: that of the first job that was done."),
            ("until", "string", "YYYY-MM-DD, the last day; default: yesterday."),
        ),
        errors=((403, "The key has a `client_ref`: `Forbidden`."), (422, "No day.")),
    ),
)

_JSON = ("application/json",)
_NO_PROJECT = (404, "No such project for this key.")
_NO_MANAGER = (403, "The key does not manage, or is a temporary one.")
_INVALID_BODY = (422, "A member of the body is of the wrong type or out of range; `message` says which.")
_NO_KEY = (403, "No key, an unknown one, or one that may not do this.")

MANAGEMENT: tuple[Operation, ...] = (
    Operation(
        id="list_api_keys",
        tag="management",
        method="GET",
        path="/api-keys",
        stranger=403,
        media_types=_JSON,
        summary="List keys",
        description="Every permanent key of the workspace that works, without its value. `/api_keys` is the same address.",
        query=(("project_id", "integer", "Only the keys of this project."),),
        errors=(_NO_KEY, _NO_PROJECT, (422, "`project_id` is no whole number.")),
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
            "With `ttl` a temporary key (a JWT), which every permanent key may ask for; without it a permanent key, for which the "
            "key that asks must manage. `key_value` is shown this once. `/api_keys` is the same address."
        ),
        query=(("type", "string", "batch (default) or rt: what a temporary key opens."),),
        body=(
            ("ttl", "integer", "Seconds that a temporary key is good for, 60 to 86400."),
            (
                "client_ref",
                "string",
                "A key for batch with it reaches jobs with the same reference alone. Ignored for rt.",
            ),
            ("project_id", "integer", "The key's project; default: that of the key that asks."),
            ("name", "string", "Name of a permanent key, at most 120 characters."),
            ("region", "string", "Ignored: a key for batch belongs to the region whose address was called."),
        ),
        errors=(_NO_KEY, _NO_PROJECT, (400, "The body is no JSON."), _INVALID_BODY),
    ),
    Operation(
        id="delete_api_key",
        tag="management",
        method="DELETE",
        path="/api-keys/{apikey_id}",
        stranger=403,
        media_types=_JSON,
        summary="Revoke a key",
        description="The key and every temporary key in its name stop working within two seconds.",
        errors=(_NO_KEY, (404, "No such key that works.")),
    ),
    Operation(
        id="list_projects",
        tag="management",
        method="GET",
        path="/projects",
        media_types=_JSON,
        summary="List projects",
        description="Every project of the workspace.",
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
        description="A workspace may have 1000.",
        body=(
            ("name", "string", "At most 120 characters; required."),
            ("description", "string", "At most 1000 characters."),
        ),
        errors=(_NO_MANAGER, (400, "The body is no JSON."), _INVALID_BODY),
    ),
    Operation(
        id="get_project",
        tag="management",
        method="GET",
        path="/projects/{project_id}",
        media_types=_JSON,
        summary="Look at a project",
        description="One project of the workspace.",
        errors=((400, "The id is no number."), _NO_MANAGER, _NO_PROJECT),
    ),
    Operation(
        id="rename_project",
        tag="management",
        method="PUT",
        path="/projects/{project_id}",
        media_types=_JSON,
        summary="Rename a project",
        description="Its id and its keys stay.",
        body=(("name", "string", "At most 120 characters; required."),),
        errors=(_NO_MANAGER, _NO_PROJECT, (400, "The body is no JSON."), _INVALID_BODY),
    ),
    Operation(
        id="delete_project",
        tag="management",
        method="DELETE",
        path="/projects/{project_id}",
        status=204,
        media_types=(),
        summary="Delete a project",
        description="Its keys stop working, and its jobs are removed with media and transcripts. The default project stays.",
        errors=((403, "The default project, or the key does not manage."), _NO_PROJECT),
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
        summary="See what this region can do",
        description="Languages, locales and what else its engines cover, for batch and realtime. Wants no key.",
    ),
    Operation(
        id="regions",
        tag="discovery",
        method="GET",
        path="/regions",
        stranger=0,
        media_types=_JSON,
        summary="See which regions there are",
        description="This region, and others with their modes and, where they are known, addresses. Wants no key.",
    ),
)

_USER = "/user/{user_id}"
_NO_JOB = (404, "`Job not found`.")
_CHOSEN = (
    ("limit", "integer", "The most recent ones, so many."),
    ("startdate", "string", "YYYY-MM-DD: only those since that day, UTC."),
    ("enddate", "string", "YYYY-MM-DD: only those before that day."),
)
_ODD_QUERY = (400, "`Malformed request`.")


def _legacy(operation_id: str, path: str, summary: str, description: str, **more: Any) -> Operation:
    """An operation of V1; `auth_token` in the address is any key of the user (a bearer key serves as well)."""
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
    _legacy("v1_user", _USER, "V1: look at an account", "Its balance in credits, its address, its id."),
    _legacy(
        "v1_payments", f"{_USER}/payments", "V1: list payments", "Newest first.", query=_CHOSEN, errors=(_ODD_QUERY,)
    ),
    _legacy("v1_jobs", f"{_USER}/jobs", "V1: list jobs", "By rising id.", query=_CHOSEN, errors=(_ODD_QUERY,)),
    _legacy(
        "v1_create_job",
        f"{_USER}/jobs",
        "V1: create a job",
        "Answers with the job's id, what it costs, the balance after that, and how long to wait before looking.",
        method="POST",
        query=(_APP,),
        form=(
            ("data_file", "file", "The media. An empty file is taken, free, and done at once."),
            (
                "text_file",
                "file",
                "A text in UTF-8, to be aligned with the media; without it the media is transcribed.",
            ),
            ("model", "text", "en, en-US, en-GB, en-AU, or the code of another language that is served."),
            ("notification", "optional", "email (default), callback or none."),
            ("notification_email_address", "optional", "Where the mail goes; default: the registered address."),
            ("callback", "optional", "The address to be called, for notification callback."),
            ("meta", "optional", "At most 1024 characters of your own."),
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
        "V1: look at a job",
        "`check_wait` is the number of seconds to wait before looking again, null when the job has ended.",
        errors=(_ODD_QUERY, _NO_JOB),
    ),
    _legacy(
        "v1_transcript",
        _USER + "/jobs/{job_id}/transcript",
        "V1: get a transcript",
        "JSON (format 1.0) or plain text.",
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
        "The text with times.",
        media_types=("text/plain",),
        query=(("tags", "string", "one_per_line for one time a line."),),
        errors=(_ODD_QUERY, (404, "`Job not found`, `Job is not of type alignment`, `Job In Progress` …")),
    ),
    _legacy(
        "v1_status", "/status", "V1: how the service does", "Turnaround, queue, known issues; wants no key.", stranger=0
    ),
)
