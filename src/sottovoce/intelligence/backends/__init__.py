"""What does the work of the stages: `builtin` runs on this machine without a key."""
