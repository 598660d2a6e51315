"""The API reference: operations, OpenAPI document, reference page."""
