"""Where our answers differ from the published description (`rest.json`), each with its reason. Nothing else may differ."""

from collections.abc import Mapping

STATUSES: Mapping[int, str] = {
    400: "GET /jobs/{id}…: never; only for a header of our own, `Idempotency-Key`, on POST",
    404: "POST /jobs with an unknown `format`, and unknown addresses (contract §3.3, inferred)",
    405: "a method that the address does not know: HTTP's own word",
    408: "the body did not arrive in time: HTTP's own word",
    411: "a length is needed: HTTP's own word",
    413: "media over the limit (contract §5, inferred: 413 or 400)",
    422: "also for `wait`, `force` and `include_deleted`, in the words that the description has for `limit` (§3.3, inferred)",
    503: "keys cannot be checked, or no worker was seen yet (§3.3: 503 may be retried at once)",
    507: "no room for the media: HTTP's own word",
}
"""Statuses that the description does not list for an operation of ours."""

WORDS: Mapping[str, str] = {
    "Page Not Found": "unknown addresses: the word of the old API (§3.3, inferred)",
    "Rate Limited": "the only documented word for too many requests (§3.3, inferred)",
    "Job is not of type alignment": "published while alignment was (§3.2)",
    "Missing text_file": "published while alignment was (§3.2)",
    "Requested Early Access Release not available": "published while early access was (§3.2)",
}
"""`error` words outside the current list."""

SENTENCES: Mapping[int, str] = {422: "`error` holds the sentence itself, as the description's own example does (§3.3)"}
"""Statuses whose `error` is no word of any list."""

MEMBERS: Mapping[tuple[str, str], str] = {
    ("CreateJobResponse", "vtt"): "our format `vtt`, with `wait`",
    ("RecognitionMetadata", "alignment_config"): "documented, not described (§7.3)",
    ("RecognitionMetadata", "translation_config"): "documented, not described (§7.3)",
    ("RecognitionMetadata", "language_identification_config"): "documented, not described (§7.3)",
    ("RecognitionMetadata", "summarization_config"): "documented, not described (§7.3)",
    ("RecognitionMetadata", "sentiment_analysis_config"): "documented, not described (§7.3)",
    ("RecognitionMetadata", "topic_detection_config"): "documented, not described (§7.3)",
    ("RecognitionMetadata", "auto_chapters_config"): "documented, not described (§7.3)",
    ("RecognitionMetadata", "audio_events_config"): "documented, not described (§7.3)",
    ("UsageDetails", "model"): "both names are sent: the schema has one, the example the other (§5, inferred)",
    ("RecognitionResult", "entity_class"): "documented, not described (§16.11)",
}
"""Members beyond those that a definition lists."""

UNNESTED = (("SentimentAnalysisResult", "sentiment_analysis"),)
"""Definitions whose content the description nests in a member of its own, and its examples do not (§16.2)."""

MEDIA_TYPES: Mapping[str, str] = {
    "text/plain; charset=utf-8": "the described text/plain, with the charset named (clients.md §15.10)",
}
"""Media types beyond those that an operation produces."""
