"""The backends, PyTorch and ONNX Runtime; they import nothing above `core.interfaces`."""
