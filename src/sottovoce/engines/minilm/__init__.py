"""Sentence vectors by a BERT encoder, such as all-MiniLM-L6-v2: safetensors weights, run by onnxruntime."""
