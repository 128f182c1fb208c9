"""Importing torchvision where its compiled operators do not load.

torchvision's wheel on PyPI is compiled for CUDA. Beside a CPU build of torch its library fails to
load, quietly, and `import torchvision` then raises "operator torchvision::nms does not exist",
since some Python code registers shapes for two detection operators. stylectl needs none of them:
declaring their names first lets everything else import.
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
    """`torchvision`, or a module of it, imported with or without its compiled operators."""
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
    imported.__dict__["_stylectl_declarations"] = library  # they last as long as this object
    return imported
