"""The portal: pages for people over the public API (docs/portal.md)."""
