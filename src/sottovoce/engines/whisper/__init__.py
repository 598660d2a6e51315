"""Whisper on CTranslate2: windows of speech, decoded until every stretch of speech has its words."""
