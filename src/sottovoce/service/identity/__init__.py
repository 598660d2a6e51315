"""Users, sessions, API keys, temporary keys, projects, workspaces, and the audit log."""
