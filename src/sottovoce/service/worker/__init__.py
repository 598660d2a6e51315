"""The code that carries out queued work."""
