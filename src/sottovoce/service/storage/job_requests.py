"""The request of a stored job: encrypted for storage, and read back without today's checks of configs."""

from typing import Protocol

from sottovoce.request import Request
from sottovoce.service.storage.encryption import Encryptor
from sottovoce.wire.v2 import stored_request
from sottovoce.wire.v2.earlier_config import parse_earlier_config


class Stored(Protocol):
    """The encrypted columns of a job that have its request. Both are None once the job is removed."""

    @property
    def config(self) -> bytes | None:
        """The submitted text."""

    @property
    def request(self) -> bytes | None:
        """The parsed request; None also for a job of a release that did not store it."""


def encrypted(encryptor: Encryptor, request: Request) -> bytes:
    """The value of the column `request`. Takes time in proportion to the request: call it in a thread."""
    return encryptor.encrypt(stored_request.dump(request))


def request_of(encryptor: Encryptor, job: Stored) -> Request | None:
    """The request of *job*; `None` once it is removed. Takes time in proportion to the request: call it in a thread.

    Raises `ValueError` for a value that no key decrypts, or that a newer release stored.
    """
    if job.request is not None:
        return stored_request.load(encryptor.decrypt(job.request))
    if job.config is not None:
        return parse_earlier_config(encryptor.decrypt(job.config))
    return None
