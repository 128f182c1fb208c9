"""ST-LPIPS, a learned distance that tolerates shifts (Ghildyal and Liu, ECCV 2022).

The network and its weights are those of the package `stlpips-pytorch`, of the extra `judge`. It has
both in its wheel, so nothing is downloaded. It imports two packages that it does not declare.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from ...core.errors import BackendError, WeightsError
from ...plugins.backbones.torchvision.loading import import_torchvision
from .pictures import Picture

#: What the package imports, itself included.
_PACKAGES = ("stlpips_pytorch", "IPython", "torchsummary")
_WEIGHTS = Path("weights", "vST0.0", "alex_shift_tolerant.pth")

#: Why there is no score.
MISSING = "ST-LPIPS is left out: install it with pip install 'stylectl[judge]'"


def is_installed() -> bool:
    """Return whether the extra is installed."""
    return all(find_spec(package) is not None for package in _PACKAGES)


def st_lpips() -> Callable[[Picture, Picture], float]:
    """Return the distance of a picture from the content image: 0 for the same pixels.

    The weights are read as tensors alone, so that no code in the file is executed. Raises
    BackendError if the package cannot be imported, and WeightsError for a file of another version.
    """
    try:
        import_torchvision()  # the package imports it
        from stlpips_pytorch import stlpips
    except Exception as error:  # its undeclared imports may be of any version
        raise BackendError(f"stlpips-pytorch cannot be imported ({error})") from None
    network: Any = stlpips.LPIPS(
        pretrained=False, net="alex", variant="shift_tolerant", verbose=False
    )
    file = Path(stlpips.__file__).parent / _WEIGHTS
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        # The network has its linear layers under a second name as well.
        missing = network.load_state_dict(state, strict=False)
    except Exception as error:  # a damaged file may raise anything
        raise WeightsError(f"{file}: damaged ({error}); reinstall stlpips-pytorch") from None
    if any(not name.startswith("lins.") for name in missing.missing_keys):
        raise WeightsError(f"{file}: not the weights of stlpips-pytorch 0.0.2")

    def distance(picture: Picture, content: Picture) -> float:
        with torch.no_grad():
            return float(network(picture.image, content.image, normalize=True).item())

    return distance
