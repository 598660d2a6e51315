"""How often and how patiently deliveries are attempted."""

import logging
from dataclasses import dataclass, field

from sottovoce.service.email.smtp import Smtp
from sottovoce.service.notifications.model import Kind

_log = logging.getLogger(__name__)

CALLBACK_PAUSE = 2.0
"""Seconds between attempts at a callback; the contract names none (`legacy-v1.md` §6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPolicy:
    """How deliveries are attempted. Seconds: *timeout* for an answer, and the pauses before each further attempt.

    The defaults of notifications are the contract's observed times (§9, inferred), those of V1's callbacks its own: so many
    attempts, each with its time (`legacy-v1.md` §3). *signing* is the key of signatures.
    """

    timeout: float = 10.0
    pauses: tuple[float, ...] = (15.0, 20.0, 30.0)
    callback_timeouts: tuple[float, ...] = (10.0, 20.0, 30.0)
    mail_pauses: tuple[float, ...] = (60.0, 300.0, 1800.0, 7200.0)
    signing: bytes | None = field(default=None, repr=False)
    smtp: Smtp | None = None

    @property
    def tries(self) -> dict[Kind, int]:
        """How often each kind is attempted."""
        return {
            Kind.NOTIFICATION: len(self.pauses) + 1,
            Kind.CALLBACK: len(self.callback_timeouts),
            Kind.MAIL: len(self.mail_pauses) + 1,
        }

    def pause(self, kind: Kind, left: int) -> float:
        """Seconds before the next attempt when *left* remain, that one included."""
        if kind is Kind.CALLBACK:
            return CALLBACK_PAUSE
        pauses = self.pauses if kind is Kind.NOTIFICATION else self.mail_pauses
        return pauses[max(0, len(pauses) - left)] if pauses else 0.0

    def callback_timeout(self, left: int) -> float:
        """Seconds for an attempt of a callback when *left* remain, that one included."""
        return self.callback_timeouts[max(0, len(self.callback_timeouts) - left)]
