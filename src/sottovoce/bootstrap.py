"""Turns the settings into the plan of a server. Besides it, only `web/app.py` (HTTP alone) and `cli/` read settings."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sottovoce.engines import domains
from sottovoce.engines.audioset.registration import checked
from sottovoce.engines.config import EngineConfig, parsed_stages, visible_devices
from sottovoce.engines.marian.registration import parsed_models
from sottovoce.engines.models.catalogue import canonical
from sottovoce.inference.pool import PoolPolicy
from sottovoce.intelligence.backends.chat.config import ChatConfig
from sottovoce.outbound import Policy
from sottovoce.outbound.target import Target
from sottovoce.request import OperatingPoint
from sottovoce.service import regions
from sottovoce.service.billing.credit_holds import Pricing
from sottovoce.service.email.smtp import Security, Smtp
from sottovoce.service.jobs.media_fetcher import FetchPolicy
from sottovoce.service.limits.live_sessions import LiveQuota
from sottovoce.service.limits.quotas import PROFILES, Quota
from sottovoce.service.limits.rate_limits import RateLimit, RateLimits
from sottovoce.service.notifications.send_policy import SendPolicy
from sottovoce.service.plan import Plan, TaskSettings
from sottovoce.service.storage.data_folder import DataFolder
from sottovoce.settings import Settings
from sottovoce.transcript.model import RATE
from sottovoce.wire.notifications.signatures import secret_key

T = TypeVar("T")
MOST_SLOTS = 4  # the default number of slots on a CPU is at most this


def plan(settings: Settings) -> Plan:
    """The plan of the server that *settings* describe. Raises `ValueError` that names the setting."""
    here = region(settings)
    engine_config, slots = engines(settings)
    return Plan(
        folder=DataFolder(root=settings.data_dir, region=settings.region),
        region_number=here.number,
        roles=regions.roles(here, settings.roles, explicit="roles" in settings.model_fields_set),
        database_url=settings.database_url,
        control_database_url=settings.control_database_url,
        blob_url=settings.blob_url,
        blob_options=settings.blob_options,
        secrets_key_file=settings.secrets_key_file,
        first_key=settings.api_key.get_secret_value() if settings.api_key else None,
        owner_email=settings.owner_email,
        engine=settings.engine,
        domains=_named("domains", lambda: domains.load(settings.domains)),
        engine_config=engine_config,
        slots=slots,
        poll=settings.poll_interval,
        drain=settings.drain_timeout,
        pool=PoolPolicy(
            stall_timeout=settings.stall_timeout,
            recycle_after=settings.recycle_after,
            max_rss=settings.max_engine_bytes,
            idle_unload=settings.idle_unload,
            memory_budget=settings.memory_budget_bytes,
        ),
        lease=settings.lease,
        heartbeat=settings.heartbeat,
        max_failures=settings.max_failures,
        playback=settings.playback,
        keep=settings.retention_days * 86_400,
        queues=settings.queues,
        running_jobs=settings.max_running_jobs,
        quota=Quota(
            live_jobs=settings.max_jobs or PROFILES[settings.limits].live_jobs, stored_bytes=settings.max_stored_bytes
        ),
        reserve=settings.reserve_bytes,
        sweep=settings.sweep_interval,
        retention=settings.retention_interval,
        tombstones=settings.tombstone_days * 86_400,
        task_settings=task_settings(settings),
        pricing=Pricing(billing=settings.billing, per_minute=settings.credits_per_minute),
        rate_limits=rate_limits(settings),
        slow_after=settings.slow_after * 60,
        smaller_live=settings.realtime_smaller_model,
        live_quota=LiveQuota(
            per_key=settings.realtime_key_sessions,
            per_project=settings.realtime_project_sessions or PROFILES[settings.limits].sessions,
        ),
    )


def rate_limits(settings: Settings) -> RateLimits:
    """The rate limits of a key: each from its setting, or from the profile if it is not set."""
    usual = PROFILES[settings.limits].rate_limits
    return RateLimits(
        submit=RateLimit(
            rate=settings.submit_rate or usual.submit.rate, burst=settings.submit_burst or usual.submit.burst
        ),
        read=RateLimit(rate=settings.read_rate or usual.read.rate, burst=settings.read_burst or usual.read.burst),
    )


def region(settings: Settings) -> regions.Region:
    """The region of this server. Raises `ValueError` that names the setting."""
    return regions.region(settings.region, number=settings.region_number, modes=settings.region_modes)


def task_settings(settings: Settings) -> TaskSettings:
    """The settings of outgoing requests, notifications, mails and fetches. Raises `ValueError` that names the setting."""
    return TaskSettings(
        outbound=_named("outbound", lambda: _outbound(settings)),
        send=SendPolicy(
            timeout=settings.notification_timeout,
            pauses=settings.notification_pauses,
            callback_timeouts=settings.callback_timeouts,
            mail_pauses=settings.mail_pauses,
            signing=_named("notification_secret", lambda: _signing(settings)),
            smtp=_named("smtp", lambda: _smtp(settings)),
        ),
        fetch=FetchPolicy(
            pauses=settings.fetch_pauses,
            media_bytes=settings.max_upload_bytes,
            seconds=settings.upload_timeout,
            quota=Quota(stored_bytes=settings.max_stored_bytes),
        ),
        deliveries=settings.max_deliveries,
        fetches=settings.max_fetches,
    )


def _outbound(settings: Settings) -> Policy:
    return Policy.parse(
        allow_private=settings.outbound_allow_private,
        allow=settings.outbound_allow,
        ports=settings.outbound_ports,
        proxy=settings.outbound_proxy.get_secret_value() if settings.outbound_proxy else None,
        ca_file=settings.outbound_ca_file,
        connections=settings.outbound_connections,
    )


def _signing(settings: Settings) -> bytes | None:
    return secret_key(settings.notification_secret.get_secret_value()) if settings.notification_secret else None


def _smtp(settings: Settings) -> Smtp | None:
    if settings.smtp_host is None:
        return None
    if settings.smtp_sender is None:
        raise ValueError("SOTTOVOCE_SMTP_HOST is set without SOTTOVOCE_SMTP_SENDER; set both")
    return Smtp(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.smtp_sender,
        security=Security(settings.smtp_security),
        user=settings.smtp_login,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        ca_file=settings.outbound_ca_file,
    )


def _chat(settings: Settings) -> ChatConfig | None:
    """The endpoint of the chat backend. Raises `ValueError` if it is used without an address or a model."""
    if settings.chat_url is None or settings.chat_model is None:
        if settings.chat_url or settings.chat_model or any(each.endswith("=chat") for each in settings.stages):
            raise ValueError("the backend chat needs both SOTTOVOCE_CHAT_URL and SOTTOVOCE_CHAT_MODEL")
        return None
    Target.parse(settings.chat_url)
    if settings.chat_key_file is not None and not settings.chat_key_file.is_file():
        raise ValueError(f"the file of the key is missing: {settings.chat_key_file}")
    return ChatConfig(
        url=settings.chat_url,
        model=settings.chat_model,
        key_file=settings.chat_key_file.absolute() if settings.chat_key_file else None,
        prompts=settings.chat_prompts_dir.absolute() if settings.chat_prompts_dir else None,
        ca_file=settings.outbound_ca_file.absolute() if settings.outbound_ca_file else None,
        timeout=settings.chat_timeout,
    )


def _named(name: str, make: Callable[[], T]) -> T:
    """The result of *make*; its `ValueError` is raised again with *name*, the prefix of the settings it reads."""
    try:
        return make()
    except ValueError as error:
        raise ValueError(f"SOTTOVOCE_{name.upper()}…: {error}") from error


def engines(settings: Settings) -> tuple[EngineConfig, int]:
    """The config of the engines and the number of jobs recognised at once. Raises `ValueError` for a missing GPU."""
    devices = visible_devices(settings.device)
    cores = len(os.sched_getaffinity(0))
    # PocketSphinx uses one core and 240 MB per process; on a GPU one process that batches is fastest
    slots = settings.slots or (max(1, min(MOST_SLOTS, cores)) if devices == ("cpu",) else len(devices))
    pinned = {
        OperatingPoint.STANDARD: settings.standard_model,
        OperatingPoint.ENHANCED: settings.enhanced_model,
    }
    folder = models_folder(settings)
    engine_config = EngineConfig(
        models=folder,
        pinned={point: _full_name(model, folder) for point, model in pinned.items() if model},
        devices=devices,
        compute_type=settings.compute_type,
        threads=settings.engine_threads or max(1, cores // slots),
        workers=slots,
        batch=settings.batch_size,
        beam=settings.beam_size,
        max_media=round(settings.max_media_hours * 3600 * RATE),
        track=settings.audio_track,
        stages=_named("stages", lambda: parsed_stages(settings.stages)),
        stage_timeout=settings.stage_timeout,
        chat=_named("chat", lambda: _chat(settings)),
        tagger=_named("audio_tagger", lambda: checked(settings.audio_tagger)),
        translators=_named("translation_models", lambda: parsed_models(settings.translation_models)),
    )
    return engine_config, slots


def _full_name(model: str, folder: Path) -> str:
    """The full name of *model*, which may be a short one (`base`); *model* itself if *folder* contains a folder of that name."""
    return model if (folder / model).is_dir() else canonical(model)


def models_folder(settings: Settings) -> Path:
    """The folder of models. Absolute, because engine processes and the command line may start in another folder."""
    return (settings.models_dir or settings.data_dir / "models").absolute()
