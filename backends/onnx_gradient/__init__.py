"""Reverse-mode differentiation of ONNX graphs, with respect to their input image."""

from .backward import cotangent_name
from .differentiate import GradientModels, differentiate
from .errors import NoGradientError

__all__ = ["GradientModels", "NoGradientError", "cotangent_name", "differentiate"]
