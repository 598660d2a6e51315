"""Codecs of the batch REST API V2."""
