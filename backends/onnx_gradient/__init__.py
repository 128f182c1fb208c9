"""Reverse-mode differentiation of ONNX graphs, with respect to their input image."""

from .backward import cotangent_name
from .differentiate import GradientModels, differentiate, layers_without_gradient
from .errors import NoGradientError

__all__ = [
    "GradientModels",
    "NoGradientError",
    "cotangent_name",
    "differentiate",
    "layers_without_gradient",
]
