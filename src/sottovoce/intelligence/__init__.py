"""What is made of a transcript: translation, summary, sentiment, topics, chapters, audio events."""
