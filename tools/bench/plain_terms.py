"""Loss terms of the usual objective, in the form that other programs have.

It consists of means of squares, without divisors that depend on the images.
"""

from __future__ import annotations

from typing import Any

#: The channels of VGG-19's usual style layers.
_CHANNELS = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}


def plain_terms(content: float, style: float, differences: float) -> list[dict[str, Any]]:
    """Return the terms of a job for the usual objective.

    content mean (F - P)^2 at relu4_2 + style sum_l 1 / C_l^4 sum (G_l / M - A_l / M')^2 +
    differences sum (|x right - x| + |x below - x|), for pixels x in 0-255.

    The activations F are those of pixels in 0-255, to which the embedded weights scale our images.
    """
    return [
        # Our term is 1/2 of the mean.
        {"name": "content", "weight": 2 * content, "layers": {"relu4_2": 1.0}}
        | {"normalization": "mean"},
        # Our term is 1 / (4 C^2) of the sum.
        {"name": "style", "weight": style, "normalization": "paper"}
        | {"layers": {name: 4 / channels**2 for name, channels in _CHANNELS.items()}},
        # Our pixels are in [0, 1].
        {"name": "tv", "weight": 255 * differences, "power": 1, "reduction": "sum"},
    ]
