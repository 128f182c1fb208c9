"""The export of backbones as ONNX models."""
