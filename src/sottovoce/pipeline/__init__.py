"""The processing of a job: media to transcript, or media and text to alignment."""
