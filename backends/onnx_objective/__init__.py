"""The whole objective as one ONNX model: network, losses, and the gradient at the pixels."""
