"""What the admins of a workspace and the operator see and change: members, the audit log, the health of the server."""
