"""The HTTP routes of each API."""
