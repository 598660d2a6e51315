"""Codecs between the formats of the vendor's API and the values of this service; no I/O."""
