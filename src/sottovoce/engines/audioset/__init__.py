"""Audio events by a model of the operator's that was trained on AudioSet, in ONNX form."""
