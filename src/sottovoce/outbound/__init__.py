"""Outgoing HTTP requests: notifications, fetches and model backends all go through this package.

    async with outbound.open(OutboundRequest(method="POST", url=url, body=transcript)) as answer:
        answer.status, answer.headers
        async for chunk in answer.chunks(): ...

URLs and header lines of callers and responses of receivers are treated as hostile. `OutboundRefused` means that the policy
forbids the request, `OutboundFailed` that the request was tried and failed. `docs/outbound.md` describes the rules.
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
