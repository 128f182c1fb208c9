"""The export of networks and of objectives as ONNX files."""
