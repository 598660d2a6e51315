"""Media decoding to 16 kHz samples, and voice activity detection."""
