"""Whisper on CTranslate2: windows of speech, decoded again where speech has no words."""
