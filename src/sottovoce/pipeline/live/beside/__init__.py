"""What a live session reports beside its transcript: sentences to translate, and audio events."""
