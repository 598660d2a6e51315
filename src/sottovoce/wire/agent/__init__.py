"""The Agent STT protocol (contract `agent-stt.md`): what differs from realtime."""
