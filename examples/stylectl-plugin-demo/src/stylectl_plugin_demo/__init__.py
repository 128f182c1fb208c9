"""Hooks of the plugin; the entry point in pyproject.toml names this module."""

from collections.abc import Iterable

from stylectl import BackboneSpec, LossTermSpec, WriterSpec, hookimpl

from .filters import FilterBank
from .palette import PaletteLoss, PaletteOptions
from .swatches import SwatchesOptions, SwatchesWriter


@hookimpl
def stylectl_loss_terms() -> Iterable[LossTermSpec]:
    """Return the loss term `demo-palette`."""
    yield LossTermSpec(
        name="demo-palette",
        summary="every pixel near one of a few colors of the style image",
        create=PaletteLoss,
        options=PaletteOptions,
        layers_from="image",
    )


@hookimpl
def stylectl_backbones() -> Iterable[BackboneSpec]:
    """Return the backbone `demo-filters`."""
    yield BackboneSpec(
        name="demo-filters",
        summary="a bank of edge and color filters at four sizes, without weights to download",
        create=FilterBank,
    )


@hookimpl
def stylectl_writers() -> Iterable[WriterSpec]:
    """Return the writer `demo-swatches`."""
    yield WriterSpec(
        name="demo-swatches",
        summary="the result's main colors as a GIMP palette",
        suffixes=(".gpl",),
        create=SwatchesWriter,
        options=SwatchesOptions,
    )
