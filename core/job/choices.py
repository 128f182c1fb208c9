"""The parts of a job: choices by name with options of their own, style images, region maps."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from .tables import choice_table

#: A weight: zero or more, and finite.
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _path_text(value: object) -> object:
    if isinstance(value, PathLike):
        value = fspath(value)
    if value == "":
        raise ValueError("should name a file")
    return value


#: The path of an image file, or the name of a sample. A `pathlib.Path` is taken as well.
ImagePath = Annotated[str, BeforeValidator(_path_text)]


class Choice(BaseModel):
    """Something chosen by name, with options of its own: ``"torch"``, or ``{name = "torch",
    device = "cuda"}``. The options are validated by the model of what the name stands for."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        return choice_table(value) if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        """Everything beside the fields that are declared here."""
        return dict(self.model_extra or {})

    @property
    def inherited(self) -> frozenset[str]:
        """Options that come from a job file beneath options that were given."""
        return frozenset(self.options.keys() - self.model_fields_set)

    def with_options(self, options: BaseModel) -> Self:
        """The same choice with every option spelled out."""
        return self.model_validate({**self.model_dump(), **options.model_dump(exclude_none=True)})


class TermChoice(Choice):
    """A loss term of the objective. `layers` maps a layer to its weight within the term; a plain
    list gives equal weights; None takes the backbone's default layers."""

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
    """A style image, or a folder of them, and its weight among the styles (only ratios matter).
    `mask` is an image of where in the result the style is wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: ImagePath
    weight: Weight = 1.0
    scale: float = Field(
        default=1.0, gt=0, le=8, description="size at which it is seen: 0.5 halves its motifs"
    )
    mask: ImagePath | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: object) -> object:
        return value if isinstance(value, Mapping | StyleImage) else {"image": value}


class Regions(BaseModel):
    """A map of the content image's regions and one of each style image's: images in plain colors.
    A region of the content takes the styles' statistics from where their maps have its color."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: ImagePath
    styles: tuple[ImagePath, ...] = Field(min_length=1)
