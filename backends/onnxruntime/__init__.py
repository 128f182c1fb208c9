"""ONNX Runtime and TensorRT as a feature backend."""
