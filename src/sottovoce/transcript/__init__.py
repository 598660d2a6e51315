"""Pure values of a transcript: no clock, no I/O, no numpy."""
