"""Maintainer script: the docs' table of how alike results of several sizes and strengths are.

    python -m stylectl.tools.maintenance.strength_table PHOTO PAINTING FOLDER --sizes 256,512

Both distances are computed at one size, to which the result, the content image PHOTO and the style
image PAINTING are scaled, in the default layers of VGG-19. With X, P and S the features of the
three and G their Gram matrices over the number of positions:

- style: sqrt(sum_l w_l |G_X - G_S|^2 / |G_S|^2), w_l the layers' weights, which add up to 1;
- content: |X - P| / |P| at relu4_2.

0 is the style image's own statistics, or the content image itself. The results stay in FOLDER.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.job.options.text import numbers

if TYPE_CHECKING:
    from torch import Tensor

    from ...core.interfaces.backend import Features

#: Long side in pixels to which all images are scaled.
COMMON_SIZE = 256


@dataclass(frozen=True)
class Distances:
    """Distances of a result from its style image and its content image; see the module."""

    style: float
    content: float


def main(
    photo: str,
    painting: str,
    folder: Path,
    sizes: Annotated[str, typer.Option(help="Long sides in pixels.")] = "256,512,1024,2048",
    strengths: Annotated[str, typer.Option(help="Strengths from 0 to 1.")] = "0.2,0.5,0.8",
    iterations: Annotated[int, typer.Option(help="Iterations of each run.")] = 300,
    preview: Annotated[
        bool, typer.Option(help="Also paint the preview of the largest size.")
    ] = True,
) -> None:
    """Paint each size at each strength, and print the table."""
    from ... import run

    folder.mkdir(exist_ok=True)
    long_sides = [round(size) for size in numbers("sizes", sizes)]
    print("| strength | size | style distance | content distance |\n| --- | --- | --- | --- |")
    print(_row("the photograph", "", distances(photo, photo, painting)), flush=True)
    for strength in numbers("strengths", strengths):
        for size in [*long_sides, *([0] if preview else [])]:
            file = folder / f"{strength:g}-{size or 'preview'}.png"
            run(
                content=photo,
                styles=[painting],
                size=size or max(long_sides),
                upscale=True,
                strength=strength,
                iterations=iterations,
                preview=size == 0,
                output=file,
            )
            label = str(size or "preview")
            print(_row(f"{strength:g}", label, distances(file, photo, painting)), flush=True)


def distances(
    picture: str | Path, photo: str | Path, painting: str | Path, size: int = COMMON_SIZE
) -> Distances:
    """Return the distances of a result from the other images, all at the long side `size`.

    See the module.
    """
    from ...core.job.building import build_job
    from ...core.planning.planner import make_plan
    from ...core.run.session import Session
    from ...plugins.manager import load_plugins

    plan = make_plan(build_job({"device": "cpu"}), load_plugins([]).registry)
    weights = plan.backbone.default_style_layers
    (content_layer,) = plan.backbone.default_content_layers
    with Session() as session:
        backend = session.backend(plan)
        result, content, style = (
            backend.features(_scaled(str(path), size)) for path in (picture, photo, painting)
        )
    squares = [
        weight * _gram_distance(result, style, name) ** 2 for name, weight in weights.items()
    ]
    difference = (result[content_layer] - content[content_layer]).norm()
    return Distances(
        style=(sum(squares) / sum(weights.values())) ** 0.5,
        content=(difference / content[content_layer].norm()).item(),
    )


def _scaled(path: str, size: int) -> Tensor:
    from ...core.images.decoding import read_image
    from ...core.sizes.fitting import fit

    image = read_image(path)
    return image.tensor(*fit(image.size, size, upscale=True))


def _gram_distance(features: Features, target: Features, layer: str) -> float:
    from ...plugins.losses.statistics.gram import gram_matrix

    gram, target_gram = (
        gram_matrix(tensors[layer]) / tensors[layer][0, 0].numel() for tensors in (features, target)
    )
    return float((gram - target_gram).norm() / target_gram.norm())


def _row(strength: str, size: str, measured: Distances) -> str:
    return f"| {strength} | {size} | {measured.style:.3f} | {measured.content:.3f} |"


if __name__ == "__main__":
    typer.run(main)
