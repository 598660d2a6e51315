"""Speaker diarization engines."""
