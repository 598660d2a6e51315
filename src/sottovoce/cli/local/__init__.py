"""Commands that need no server: transcribe, align, doctor, models."""
