"""Reverse-mode differentiation of ONNX graphs, with respect to their input image."""

from .differentiate import GradientModels, cotangent_name, differentiate
from .errors import NoGradientError

__all__ = ["GradientModels", "NoGradientError", "cotangent_name", "differentiate"]
