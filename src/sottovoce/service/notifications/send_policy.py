"""The number, timeouts and pauses of delivery attempts."""

from dataclasses import dataclass, field

from sottovoce.service.email.smtp import Smtp
from sottovoce.service.notifications.model import Kind

CALLBACK_PAUSE = 2.0
"""Seconds between attempts of a callback; the contract gives no figure (`legacy-v1.md` §6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPolicy:
    """Times in seconds: *timeout* for an answer, and the pauses before each further attempt. *signing*: the signature key.

    The defaults for notifications are the contract's observed times (§9, inferred). *callback_timeouts* has one timeout for each
    attempt of a V1 callback, as the contract gives them (`legacy-v1.md` §3).
    """

    timeout: float = 10.0
    pauses: tuple[float, ...] = (15.0, 20.0, 30.0)
    callback_timeouts: tuple[float, ...] = (10.0, 20.0, 30.0)
    mail_pauses: tuple[float, ...] = (60.0, 300.0, 1800.0, 7200.0)
    signing: bytes | None = field(default=None, repr=False)
    smtp: Smtp | None = None

    @property
    def tries(self) -> dict[Kind, int]:
        """The number of attempts of each kind."""
        return {
            Kind.NOTIFICATION: len(self.pauses) + 1,
            Kind.CALLBACK: len(self.callback_timeouts),
            Kind.MAIL: len(self.mail_pauses) + 1,
        }

    def pause(self, kind: Kind, left: int) -> float:
        """Return the seconds before the next attempt; *left*: the attempts that are left, the next one included."""
        if kind is Kind.CALLBACK:
            return CALLBACK_PAUSE
        pauses = self.pauses if kind is Kind.NOTIFICATION else self.mail_pauses
        return pauses[max(0, len(pauses) - left)] if pauses else 0.0

    def callback_timeout(self, left: int) -> float:
        """Return the timeout, in seconds, of the next attempt of a callback; *left* as in `pause`."""
        return self.callback_timeouts[max(0, len(self.callback_timeouts) - left)]
