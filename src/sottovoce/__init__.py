"""Sottovoce: self-hosted speech-to-text that speaks the Speechmatics wire contract."""

__version__ = "0.1.0"
