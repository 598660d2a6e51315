"""The stages of a transcript, in order."""
