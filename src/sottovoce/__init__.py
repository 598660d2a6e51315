"""Sottovoce: self-hosted speech-to-text that implements the Speechmatics API."""

__version__ = "0.1.0"
