"""Numbers, dates and amounts as they are written."""
