"""Tolerances for the distance of a backend from float64, by precision, with reasons.

The measured values are those of the torch backend with VGG-19 up to relu5_1, on an x86-64 processor
that has all three precisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...backends.accuracy.differences import TOLERANCE
from .report import Quantity


@dataclass(frozen=True)
class Tolerance:
    """Largest tolerated value, with the reason.

    That of FEATURES_PEAK is a fraction of the layer's largest value.
    """

    limit: float
    reason: str


#: Tolerance of each quantity. Finite differences have none but in float32: rounding hides them.
Tolerances = Mapping[Quantity, Tolerance]

_FLOAT32: Tolerances = {
    Quantity.FEATURES_L2: Tolerance(
        5e-6,
        "a convolution sums K <= 4608 products and rounds by 6e-8 a few times; over 16 layers that "
        "adds up like a random walk to 1e-6 (measured: 1.2e-6); others sum in other orders. "
        "TF32 is off by 2e-4 after one rounding",
    ),
    Quantity.FEATURES_PEAK: Tolerance(
        1e-5,
        "the same rounding at the worst of some thousand elements, whose partial sums are larger "
        "than they are (measured: 1.3e-6)",
    ),
    Quantity.FEATURES_REL: Tolerance(
        1e-4,
        "an element as small as the root mean square is a difference of sums that may be ten times "
        "as large, so that its relative error is, too (measured: 1e-5)",
    ),
    Quantity.GRADIENT_L2: Tolerance(
        2e-2,
        "rounding alone gives 1e-6 (measured: 7e-7), but a rectifier or a maximum within rounding "
        "of its kink may switch: one in a layer with M active elements moves the gradient by "
        "1 / sqrt(M), which is 4e-3 at relu1_1 to 1.3e-2 at relu4_2 on pictures as small as these. "
        "Element by element no tolerance would hold",
    ),
    Quantity.GRADIENT_COSINE: Tolerance(
        2e-4, "half the square of the relative L2, which is what it is for small differences"
    ),
    Quantity.GRADIENT_SUM: Tolerance(
        2e-2, "as the gradient's relative L2 (measured: 2.6e-6, without a switch)"
    ),
    Quantity.GRADIENT_SLOPES: Tolerance(
        TOLERANCE,
        "rectifiers and maxima switch between the two ends of a difference, and a share p of them "
        "moves the slope by sqrt(p) (measured: 0.035, on a ResNet-50 of random weights 0.057)",
    ),
    Quantity.PICTURE: Tolerance(
        4e-2,
        "two steps of Adam, which divides by the gradient's size: where a gradient is near 0, one "
        "switched rectifier sends the pixel the other way (measured: 1e-6 without a switch, 1e-3 "
        "with one, 0.015 on a ResNet-18 of random weights)",
    ),
}

_BF16: Tolerances = {
    Quantity.FEATURES_L2: Tolerance(
        2e-2,
        "8 bits: each rounding, of input, weights and outputs, is by 0.2 % at most; a random walk "
        "over 3 * 16 of them comes to 0.8 % (measured: 0.65 %)",
    ),
    Quantity.FEATURES_PEAK: Tolerance(
        3e-2, "the same at the worst of some thousand elements (measured: 0.7 %)"
    ),
    Quantity.FEATURES_REL: Tolerance(
        0.25, "as in float32: ten times the relative L2 (measured: 0.063)"
    ),
    Quantity.GRADIENT_L2: Tolerance(
        0.25,
        "with features off by 0.7 %, about as many rectifiers and maxima switch, and a share p of "
        "them moves the gradient by sqrt(p), which is 0.08 (measured: 0.12)",
    ),
    Quantity.GRADIENT_COSINE: Tolerance(
        3e-2, "half the square of the relative L2 (measured: 0.007)"
    ),
    Quantity.GRADIENT_SUM: Tolerance(
        0.5,
        "in a flat picture all positions of a channel switch together (measured: 0.17)",
    ),
    Quantity.PICTURE: Tolerance(
        0.35,
        "Adam's steps of 0.02 go the other way where a small gradient has the other sign; this is "
        "the worst pixel of all (measured: 0.17)",
    ),
}

_FP16: Tolerances = {
    Quantity.FEATURES_L2: Tolerance(3e-3, "11 bits: an eighth of bf16's (measured: 9.7e-4)"),
    Quantity.FEATURES_PEAK: Tolerance(4e-3, "an eighth of bf16's (measured: 7.6e-4)"),
    Quantity.FEATURES_REL: Tolerance(4e-2, "about an eighth of bf16's (measured: 8e-3)"),
    Quantity.GRADIENT_L2: Tolerance(
        0.15,
        "as for bf16: a share of 0.1 % switches and moves the gradient by 0.03 (measured: 0.06)",
    ),
    Quantity.GRADIENT_COSINE: Tolerance(
        1.2e-2, "half the square of the relative L2 (measured: 0.002)"
    ),
    Quantity.GRADIENT_SUM: Tolerance(0.15, "as for bf16, with fewer that switch (measured: 0.03)"),
    Quantity.PICTURE: Tolerance(
        0.3, "as for bf16; the worst pixel is hardly better off (measured: 0.13)"
    ),
}

_TF32: Tolerances = {
    quantity: Tolerance(fp16.limit, "11 bits of each factor, as fp16 has")
    for quantity, fp16 in _FP16.items()
}

#: Tolerances by the `precision` of a backend's options.
TOLERANCES: Mapping[str, Tolerances] = {
    "float32": _FLOAT32,
    "tf32": _TF32,
    "bf16": _BF16,
    "fp16": _FP16,
}
