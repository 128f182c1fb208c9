"""Import of torchvision where its compiled operators do not load.

torchvision's wheel on PyPI is compiled for CUDA. With a CPU build of torch its library silently
fails to load, and `import torchvision` then raises "operator torchvision::nms does not exist",
since some Python code registers shapes for two detection operators. stylectl needs neither of
them: once their names are declared, everything else imports.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch

_DECLARATIONS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def import_torchvision(module: str = "torchvision") -> ModuleType:
    """Import `torchvision`, or a module of it, with or without its compiled operators."""
    try:
        return importlib.import_module(module)
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name, declaration in _DECLARATIONS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(declaration)
    imported = importlib.import_module(module)
    imported.__dict__["_stylectl_declarations"] = library  # they exist as long as this object
    return imported
