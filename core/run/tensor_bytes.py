"""The memory of the tensors that an object holds."""

from __future__ import annotations

import gc
from types import FunctionType, MethodType, ModuleType

import numpy as np
import torch
from torch import Tensor

#: Objects that a value refers to without holding them: code, and what it was imported from.
_SHARED = (type, ModuleType)


def tensor_bytes(value: object) -> int:
    """Return the bytes of all tensors and arrays that can be reached from `value`.

    `value` is a function with its closure, or any other object. Memory that several tensors share
    counts once.
    """
    memory: dict[int, int] = {}
    pending, seen = [value], set[int]()
    while pending:
        current = pending.pop()
        if id(current) in seen or isinstance(current, _SHARED):
            continue
        seen.add(id(current))
        if isinstance(current, Tensor):
            if current.layout == torch.strided:
                storage = current.untyped_storage()
                memory[storage.data_ptr()] = storage.nbytes()
        elif isinstance(current, np.ndarray):
            base = current if current.base is None else current.base
            memory[id(base)] = current.nbytes
        elif isinstance(current, FunctionType):
            # Not its globals, which belong to its module.
            pending += [current.__closure__, current.__defaults__, current.__kwdefaults__]
        elif isinstance(current, MethodType):
            pending += [current.__self__, current.__func__]
        else:
            pending += gc.get_referents(current)
    return sum(memory.values())
