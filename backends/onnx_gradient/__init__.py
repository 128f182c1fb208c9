"""Reverse-mode differentiation of ONNX graphs, with respect to their input image."""

from .backward import cotangent_name
from .differentiate import GradientModels, differentiate, layers_without_gradient
from .errors import NoGradientError
from .subgraphs import captured

__all__ = [
    "GradientModels",
    "NoGradientError",
    "captured",
    "cotangent_name",
    "differentiate",
    "layers_without_gradient",
]
