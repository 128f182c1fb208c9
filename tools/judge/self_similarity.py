"""CFSD, the distance of self-similarities (Chung, Hyun and Heo, "StyleID", CVPR 2024).

S = softmax over rows of F^T F / C^2, with F (C, M) the activations of relu3_1: how alike each
position is to all others. The distance is the mean over the rows of KL(S of the content || S of the
picture). Two things differ: the activations are divided by the root mean square of the content's,
since these weights have other units than torchvision's, and the product is divided by C; and of a
large picture only every second or third row is compared, each with all positions.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from .pictures import Picture

_LAYER = "relu3_1"
#: Most rows that are compared, and the rows that are computed at a time.
_MOST_ROWS, _CHUNK = 4096, 512


def self_similarity_distance(picture: Picture, content: Picture) -> float:
    """Return the CFSD of a picture from the content image; 0 for the same structure."""
    target = content.features[_LAYER]
    unit = target.square().mean().sqrt().clamp_min(1e-12)
    return rows_divergence(picture.features[_LAYER] / unit, target / unit)


def rows_divergence(features: Tensor, target: Tensor) -> float:
    """Return the mean over rows of KL(softmax(T^T T / C) || softmax(F^T F / C)).

    `features` and `target` are F and T, (C, H, W).
    """
    step = 1
    while target[:, ::step, ::step].numel() > _MOST_ROWS * len(target):
        step += 1
    total, count = 0.0, 0
    rows = [maps[:, ::step, ::step].flatten(1).T for maps in (features, target)]
    columns = [maps.flatten(1) / len(target) for maps in (features, target)]
    for first in range(0, len(rows[0]), _CHUNK):
        logs, target_logs = (
            log_softmax(of_rows[first : first + _CHUNK] @ of_columns, dim=1)
            for of_rows, of_columns in zip(rows, columns, strict=True)
        )
        total += kl_div(logs, target_logs, reduction="sum", log_target=True).item()
        count += len(logs)
    return max(0.0, total / count)
