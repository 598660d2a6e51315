"""Warnings about the parts of a config that this server cannot do (contract `realtime.md` §4.4, §4.5, §8)."""

from collections.abc import Iterable, Sequence

from sottovoce.wire.realtime.config import ConfigWarning
from sottovoce.wire.realtime.errors import WarningType
from sottovoce.wire.v2.config_errors import shown

MOST = 4
"""Warnings before `RecognitionStarted`: one client accepts five messages there, and one of them is the usage (§3 rule 1, §11.6)."""


def few(warnings: Sequence[ConfigWarning]) -> tuple[ConfigWarning, ...]:
    """*warnings*; those of one type as one if there are more than `MOST`."""
    if len(warnings) <= MOST:
        return tuple(warnings)
    reasons: dict[WarningType, list[str]] = {}
    for each in warnings:
        reasons.setdefault(each.type, []).append(each.reason)
    return tuple(ConfigWarning(type=kind, reason="; ".join(found)) for kind, found in reasons.items())


def unsupported_pair(source: str, target: str) -> ConfigWarning:
    """No translator here translates from *source* to *target*; the other targets go on."""
    why = f"translation from {shown(source)} to {shown(target)} is not available on this server"
    return ConfigWarning(type=WarningType.UNSUPPORTED_TRANSLATION_PAIR, reason=why)


def no_targets() -> ConfigWarning:
    """No target is left; the session goes on without translation."""
    why = "no target language of translation_config can be translated to; the session runs without translation"
    return ConfigWarning(type=WarningType.EMPTY_TRANSLATION_TARGET_LIST, reason=why)


def undetected(missing: Iterable[str], detected: Iterable[str]) -> ConfigWarning:
    """The types *missing* of audio events are not detected in realtime sessions, *detected* are."""
    known = ", ".join(sorted(detected)) or "none"
    why = f"audio_events_config: {' and '.join(sorted(missing))} cannot be detected in realtime sessions (detected: {known})"
    return ConfigWarning(type=WarningType.VALIDATION_WARNING, reason=why)
