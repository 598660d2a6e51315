"""Codecs of the legacy REST API V1."""
