"""For maintainers: how alike pictures of several sizes and strengths are, as the table in docs.

    python -m stylectl.tools.maintenance.strength_table PHOTO PAINTING FOLDER --sizes 256,512

Both distances are taken at one size, to which the result, the photograph and the painting are
scaled, in the default layers of VGG-19. With P, S and X the three's features and G their Gram
matrices over the number of positions:

- style: sqrt(sum_l w_l |G_X - G_S|^2 / |G_S|^2), w_l the layers' shares, which add up to 1;
- content: |X - P| / |P| at relu4_2.

0 is the painting's own statistics, or the photograph itself. The pictures stay in FOLDER.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.job.text import numbers

if TYPE_CHECKING:
    from torch import Tensor

    from ...core.interfaces.backend import Features

#: Long side in pixels that everything is scaled to.
COMMON_SIZE = 256


@dataclass(frozen=True)
class Distances:
    """Of a picture to its painting and to its photograph; see the module."""

    style: float
    content: float


def main(
    photo: str,
    painting: str,
    folder: Path,
    sizes: Annotated[str, typer.Option(help="Long sides in pixels.")] = "256,512,1024,2048",
    strengths: Annotated[str, typer.Option(help="From 0 to 1.")] = "0.2,0.5,0.8",
    iterations: Annotated[int, typer.Option(help="Of each run.")] = 300,
    preview: Annotated[bool, typer.Option(help="Also the preview of the largest.")] = True,
) -> None:
    """Paint each size at each strength, and print the table."""
    from ... import run

    folder.mkdir(exist_ok=True)
    long_sides = [round(each) for each in numbers("sizes", sizes)]
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
    """Of an image file to the other two, all at the long side `size`; see the module."""
    from ...core.job.building import build_job
    from ...core.planning.planner import make_plan
    from ...plugins.manager import load_plugins

    plan = make_plan(build_job({"device": "cpu"}), load_plugins([]).registry)
    shares = plan.backbone.default_style_layers
    (content_layer,) = plan.backbone.default_content_layers
    with plan.open_backend() as backend:
        result, content, style = (
            backend.features(_scaled(str(path), size)) for path in (picture, photo, painting)
        )
    squares = [share * _gram_distance(result, style, name) ** 2 for name, share in shares.items()]
    difference = (result[content_layer] - content[content_layer]).norm()
    return Distances(
        style=(sum(squares) / sum(shares.values())) ** 0.5,
        content=(difference / content[content_layer].norm()).item(),
    )


def _scaled(path: str, size: int) -> Tensor:
    from ...core.images.decoding import read_image
    from ...core.sizes.fitting import fit

    image = read_image(path)
    return image.tensor(*fit(image.size, size, upscale=True))


def _gram_distance(features: Features, target: Features, layer: str) -> float:
    from ...plugins.losses.statistics.gram import gram_matrix

    own, wanted = (
        gram_matrix(each[layer]) / each[layer][0, 0].numel() for each in (features, target)
    )
    return float((own - wanted).norm() / wanted.norm())


def _row(strength: str, size: str, found: Distances) -> str:
    return f"| {strength} | {size} | {found.style:.3f} | {found.content:.3f} |"


if __name__ == "__main__":
    typer.run(main)
