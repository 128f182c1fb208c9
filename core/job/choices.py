"""Parts of a job: choices with their options, style images, region maps, required plugins."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Annotated, Any, Literal, Self

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ..deprecation import warn_deprecated
from .tables import choice_table, current_style

#: What is left out at the edges of a style image: the margin of a scan if there is one, nothing, or
#: (left, top, right, bottom) in pixels of the file.
Crop = Literal["auto", "none"] | tuple[int, int, int, int]

#: A weight: zero or more, and finite.
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _path_text(value: object) -> object:
    if isinstance(value, PathLike):
        value = fspath(value)
    if value == "":
        raise ValueError("should name a file")
    return value


#: The path of an image file, or the name of a sample. A `pathlib.Path` is accepted as well.
ImagePath = Annotated[str, BeforeValidator(_path_text)]


class Choice(BaseModel):
    """A choice by name, with options.

    In a job file it is ``"torch"`` or ``{name = "torch", device = "cuda"}``. The options are
    validated later, by the model that belongs to the name.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return choice_table(value) if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        """Values of all keys that are not fields of the class."""
        return dict(self.model_extra or {})

    @property
    def inherited(self) -> frozenset[str]:
        """Names of the options that come from a job file beneath other options."""
        return frozenset(self.options.keys() - self.model_fields_set)

    def with_options(self, options: BaseModel) -> Self:
        """Return this choice with every option spelled out."""
        return self.model_validate({**self.model_dump(), **options.model_dump(exclude_none=True)})


class TermChoice(Choice):
    """A loss term of the objective.

    `layers` maps each layer to its weight within the term; a plain list stands for equal weights,
    None for the backbone's default layers.
    """

    weight: Weight = 1.0
    layers: dict[str, Weight] | None = Field(default=None, min_length=1)

    @field_validator("layers", mode="before")
    @classmethod
    def _equal_weights(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        if len(set(map(str, value))) < len(value):
            raise ValueError("name a layer twice")
        return {name: 1 / len(value) for name in value}


class StyleImage(BaseModel):
    """A style image, or a folder of them.

    `weight` is its weight among the styles; only ratios matter. `size` is the size at which the
    image is seen, where 1 is the size of the result. `mask` is an image that is white where in the
    result the style is wanted. `crop` is what is left out at the edges.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: ImagePath
    weight: Weight = 1.0
    size: float = Field(
        default=1.0, gt=0, le=8, description="relative size of the image: 0.5 halves its motifs"
    )
    mask: ImagePath | None = None
    crop: Crop = "auto"

    @field_validator("crop", mode="plain")
    @classmethod
    def _word_or_widths(cls, value: object) -> object:
        if value in ("auto", "none"):
            return value
        widths = tuple(value) if isinstance(value, list | tuple) else ()
        if len(widths) == 4 and all(type(width) is int and width >= 0 for width in widths):
            return widths
        raise ValueError(
            "should be auto, none, or four whole numbers of pixels: left, top, right, bottom"
        )

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: object) -> object:
        if isinstance(value, StyleImage):
            return value
        return current_style(value) if isinstance(value, Mapping) else {"image": value}

    @property
    def scale(self) -> float:
        """Former name of `size`."""
        warn_deprecated("the attribute scale of a style", "read size")
        return self.size


class Regions(BaseModel):
    """Maps of regions, images in plain colors: one of the content image, one of each style image.

    A region of the result takes the styles' statistics from the regions of the same color.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: ImagePath
    styles: tuple[ImagePath, ...] = Field(min_length=1)


class JobPlugins(BaseModel):
    """Plugins that a job needs.

    `require` has the requirements of their distributions, by PEP 508, such as
    ``stylectl-plugin-pastel>=1.2``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    require: tuple[str, ...] = ()

    @field_validator("require")
    @classmethod
    def _names_and_versions(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                requirement = None
            if requirement is None or requirement.url is not None:
                raise ValueError(
                    "should have names of distributions with their versions, such as "
                    f"stylectl-plugin-pastel>=1.2, not {text!r}"
                )
        return texts
