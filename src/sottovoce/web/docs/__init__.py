"""The description of the API: operations, OpenAPI document, reference page."""
