"""Commands that run a server: one region, several regions, a worker."""
