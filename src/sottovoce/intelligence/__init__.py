"""Speech intelligence: what is found in a finished transcript (a summary, sentiment, topics, chapters) and in its audio."""
