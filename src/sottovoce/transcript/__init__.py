"""The transcript and the functions on it: no clock, no I/O, no numpy."""
