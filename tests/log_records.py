"""What the code under test logged, independent of the log level that earlier tests left behind."""

import logging

import pytest


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The events of level warning and above, in order. The root level decides about the others, and other tests change it."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
