"""Backbones as ONNX models."""
