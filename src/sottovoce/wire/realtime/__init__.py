"""The messages of the realtime API: parsing those of clients, rendering those of the server (contract `realtime.md`)."""
