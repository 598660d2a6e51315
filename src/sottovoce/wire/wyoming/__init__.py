"""The Wyoming protocol of Home Assistant: its events, and how they are sent (package `wyoming` 1.10)."""
