"""Commands over the databases of a server: keys, users, jobs, deliveries, retention, credits and more."""
