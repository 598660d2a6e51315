"""HTTP: routes over the service, nothing durable of its own."""
