"""Every outgoing request: the only way out of the server for notifications, fetches and model backends.

    async with outbound.open(Ask(method="POST", url=url, body=transcript)) as answer:
        answer.status, answer.headers
        async for chunk in answer.chunks(): ...

What callers name (URL, header lines) and everything that receivers answer is hostile. `OutboundRefused` says that the policy
forbids it, `OutboundFailed` that it was tried and did not work out. `docs/outbound.md` tells operators the rules.
"""

from sottovoce.outbound.answer import OutboundResponse
from sottovoce.outbound.ask import Header, Limits, Method, OutboundRequest, Streamed
from sottovoce.outbound.client import Outbound
from sottovoce.outbound.faults import FailureKind, OutboundFailed, OutboundRefused
from sottovoce.outbound.headers import header_lines
from sottovoce.outbound.policy import Policy
from sottovoce.outbound.resolver import Resolver
from sottovoce.outbound.target import Target

__all__ = [
    "FailureKind",
    "Header",
    "Limits",
    "Method",
    "Outbound",
    "OutboundFailed",
    "OutboundRefused",
    "OutboundRequest",
    "OutboundResponse",
    "Policy",
    "Resolver",
    "Streamed",
    "Target",
    "header_lines",
]
