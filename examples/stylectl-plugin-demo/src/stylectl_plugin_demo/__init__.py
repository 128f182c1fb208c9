"""Hooks of the plugin; the entry point in pyproject.toml names this module."""

from collections.abc import Iterable

from stylectl import BackboneSpec, LossTermSpec, NoOptions, WriterSpec, hooks

from .filters import FilterBank
from .palette import PaletteLoss, PaletteOptions
from .swatches import SwatchesOptions, SwatchesWriter


@hooks.loss_terms
def loss_terms() -> Iterable[LossTermSpec[PaletteOptions]]:
    """Return the loss term `demo-palette`."""
    yield LossTermSpec(
        name="demo-palette",
        summary="every pixel near one of a few colors of the style image",
        create=PaletteLoss,
        options=PaletteOptions,
        layers_from="image",
    )


@hooks.backbones
def backbones() -> Iterable[BackboneSpec[NoOptions]]:
    """Return the backbone `demo-filters`."""
    yield BackboneSpec(
        name="demo-filters",
        summary="a bank of edge and color filters at four sizes, without weights to download",
        create=FilterBank,
        options=NoOptions,
    )


@hooks.writers
def writers() -> Iterable[WriterSpec[SwatchesOptions]]:
    """Return the writer `demo-swatches`."""
    yield WriterSpec(
        name="demo-swatches",
        summary="the result's main colors as a GIMP palette",
        suffixes=(".gpl",),
        create=SwatchesWriter,
        options=SwatchesOptions,
    )
