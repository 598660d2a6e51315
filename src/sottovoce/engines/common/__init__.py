"""Parts that several recognisers share: merging, word assembly, calibration, ONNX sessions, speech activity, parallel work."""
