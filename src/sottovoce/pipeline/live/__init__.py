"""Live transcription: windows of the newest audio, words that become final, events of a session."""
