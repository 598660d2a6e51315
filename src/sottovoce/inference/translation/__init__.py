"""Translation beside realtime sessions: a process for each translator, below the recognisers in priority."""
