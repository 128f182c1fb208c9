"""ONNX Runtime's execution providers: those of its builds, and those of installed packages."""
