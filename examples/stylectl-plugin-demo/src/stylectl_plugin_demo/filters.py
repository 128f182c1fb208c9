"""A backbone: a bank of fixed filters, applied to the image at four sizes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from stylectl import Backbone, BackboneArguments, BackboneSpec, LayerInfo, NoOptions, hooks

if TYPE_CHECKING:
    from stylectl import Trunk

SIZES = 4
#: Side of a filter, in pixels.
SIDE = 7
ORIENTATIONS = 6
#: Three blurred colors, and both signs of two phases for each orientation and color.
CHANNELS = 3 + ORIENTATIONS * 3 * 4


class FilterBank(Backbone):
    """Rectified Gabor filters of every color in six orientations, and the blurred colors.

    The filters respond to edges and lines. The layers are ``bank1``, at the image's own size, to
    ``bank4``, at an eighth of it.
    """

    name = "demo-filters"
    layers = tuple(
        LayerInfo(f"bank{n + 1}", CHANNELS, stride=2**n, receptive_field=SIDE * 2**n)
        for n in range(SIZES)
    )
    aliases: dict[str, str] = {}
    default_content_layers = {"bank1": 0.5, "bank2": 0.5}
    default_style_layers = {"bank1": 0.4, "bank2": 0.3, "bank3": 0.2, "bank4": 0.1}

    def __init__(self, arguments: BackboneArguments[NoOptions]) -> None:
        pass

    def trunk(self, layers: Collection[str]) -> Trunk:
        """See Backbone.trunk."""
        from .gabor import GaborPyramid

        return GaborPyramid(layers)


@hooks.backbones
def backbones() -> Iterable[BackboneSpec[NoOptions]]:
    """Return the backbone `demo-filters`."""
    yield BackboneSpec(
        name="demo-filters",
        summary="a bank of edge and color filters at four sizes, without weights to download",
        create=FilterBank,
        options=NoOptions,
    )
