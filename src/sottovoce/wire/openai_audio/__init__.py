"""OpenAI's audio API: the fields of its forms, its answers, its events and its errors."""
