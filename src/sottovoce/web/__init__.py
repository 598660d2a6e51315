"""The HTTP layer: routes that call the service. It stores nothing."""
