"""Pure codecs between the vendor's formats and our values."""
