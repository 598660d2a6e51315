"""`sottovoce wyoming`: Home Assistant's protocol in front of a server's realtime API."""
