"""Parakeet and Canary through the library onnx-asr."""
