"""The job: what determines a result, and how a machine computes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .choices import Choice, ImagePath, JobPlugins, Regions, StyleImage, TermChoice
from .halves import HOW_COMPUTED
from .options.text import bytes_of

#: Most pixels of an input image, unless the job sets `max_pixels`: 16384 x 16384.
DEFAULT_MAX_PIXELS = 16384 * 16384
#: The strength that leaves the loss terms' weights unchanged.
NEUTRAL_STRENGTH = 0.5
#: The motifs that leave the style layers' weights unchanged.
NEUTRAL_MOTIFS = 1.0
#: Longest side of a result in pixels.
LONGEST_SIDE = 65536

_MAX_SCALES = 20

#: Source of the result's colors, and the method of transfer; see core/images/color_transfer.py and,
#: for `chroma`, core/images/colors.
ColorFrom = Literal["style", "luminance", "histogram", "covariance", "chroma"]

#: Color profile of the result's files: sRGB, or the content image's.
ColorProfile = Literal["srgb", "keep"]
#: What the files of a result carry beside pixels; see docs/images.md.
MetadataLevel = Literal["full", "job", "none"]


class Job(BaseModel):
    """All that determines a result, and how it is computed (fields marked `HOW_COMPUTED`).

    Paths are relative to the current folder; in a file, to the file's folder. A texture is a result
    without a content image: `content` is None, and `size` is (width, height). If `content` is left
    out, a size of two numbers makes the job a texture. If `content` is None, a single number is
    both sides of a square.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: ImagePath | None = "sample:photo"
    styles: tuple[StyleImage, ...] = Field(
        default=(StyleImage(image="sample:painting"),), min_length=1
    )
    content_mask: ImagePath | None = Field(
        default=None, description="an image that is white where the result is held to the content"
    )
    regions: Regions | None = None
    color: ColorFrom = "style"
    size: int | tuple[int, int] = Field(
        default=512, description="long side of the result, in pixels; of a texture, both sides"
    )
    preview: bool = Field(default=False, description="make a small, quick result")
    seamless: bool = Field(
        default=False, description="make the result continue at its opposite edges"
    )
    upscale: bool = Field(default=False, description="allow a result larger than the content image")
    scales: int | Literal["auto", "octaves"] = Field(
        description="sizes of the coarse-to-fine pyramid, at most; auto: as many as the size "
        "needs; octaves: from 64 px on, each twice as large, with as many steps"
    )
    final_pass: bool = Field(
        default=False, description="make one more pass at the size of the result"
    )
    iterations: int = Field(ge=1, description="optimizer steps, over all scales together")
    least_change: float = Field(
        default=1e-6,
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="end a scale early when its loss has changed by no more than this part of it "
        "in ten steps; 0: never",
    )
    seed: int = Field(default=0, ge=0, lt=2**63)
    color_profile: ColorProfile = Field(
        default="srgb", description="color profile of the files: sRGB, or the content image's"
    )
    metadata: Annotated[MetadataLevel, HOW_COMPUTED] = Field(
        default="full", description="what the files carry beside pixels: full, job or none"
    )
    max_pixels: Annotated[int, HOW_COMPUTED] = Field(
        default=DEFAULT_MAX_PIXELS, ge=1, description="largest input image that is decoded"
    )
    max_memory: Annotated[str | None, HOW_COMPUTED] = Field(
        default=None, description="what the program may hold, such as 4GB; large results are tiled"
    )
    backend: Choice = Choice(name="torch")
    backbone: Choice = Choice(name="vgg19")
    init: Choice
    optimizer: Choice
    parametrization: Choice = Choice(name="pixels")
    strength: float = Field(
        default=NEUTRAL_STRENGTH,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="0 is nearly the photograph, 1 all painting; 0.5 takes the weights as they are",
    )
    motifs: float = Field(
        default=NEUTRAL_MOTIFS,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="0 is strokes and colors alone, 1 also the painting's objects, by the weights "
        "of the style layers as they are",
    )
    normalize_gradients: bool = Field(
        default=False, description="give each term's gradient at each layer an L1 norm of 1"
    )
    terms: tuple[TermChoice, ...] = Field(min_length=1)
    plugins: Annotated[JobPlugins, HOW_COMPUTED] = Field(
        default=JobPlugins(), description="the installed plugins that the job needs"
    )

    @classmethod
    def from_preset(cls, preset: str | None = None, **options: Any) -> Job:
        """Return the job of a built-in preset (None: the default one) with `options`.

        The options are those of `stylectl.run`:
        ``Job.from_preset("balanced", content="a.jpg", styles=["b.jpg"])``.

        Raises UsageError for unknown names and values out of range.
        """
        from .building import build_job

        return build_job(options, preset=preset)

    def replace(self, **options: Any) -> Job:
        """Return this job with other `options`, validated.

        The options are those of `stylectl.run`. Raises UsageError for unknown names and values out
        of range.
        """
        from .building import build_job

        return build_job(options, self.as_table())

    @field_validator("scales", mode="before")
    @classmethod
    def _count_or_auto(cls, value: object) -> object:
        text = str(value)[:4]  # enough to be larger than the most
        if value in ("auto", "octaves") or (text.isdecimal() and 1 <= int(text) <= _MAX_SCALES):
            return value
        raise ValueError(f"should be auto, octaves, or a whole number from 1 to {_MAX_SCALES}")

    @field_validator("max_memory")
    @classmethod
    def _size_of_memory(cls, value: str | None) -> str | None:
        if value is not None:
            bytes_of(value)
        return value

    @model_validator(mode="before")
    @classmethod
    def _square_or_texture(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        size = value.get("size", cls.model_fields["size"].default)
        if "content" not in value and is_pair(size):
            return {**value, "content": None}
        if value.get("content", "") is None and not is_pair(size):
            return {**value, "size": (size, size)}
        return value

    @model_validator(mode="after")
    def _texture_or_not(self) -> Self:
        if self.content is not None and is_pair(self.size):
            raise ValueError(
                "size should be one number, the long side, since the content image gives the "
                "shape; two are for a texture, which has none"
            )
        if self.content is None:
            for key in ("upscale", "content_mask"):
                if getattr(self, key):
                    raise ValueError(f"{key} has no effect: a texture has no content image")
            if self.color_profile != "srgb":
                raise ValueError("color_profile has no effect: a texture has no content image")
            if self.color != "style":
                raise ValueError(
                    f"color {self.color!r} takes the content's colors, and a texture has none"
                )
        return self

    @field_validator("size", mode="plain")
    @classmethod
    def _sides(cls, size: object) -> int | tuple[int, int]:
        sides = tuple(size) if isinstance(size, list | tuple) else (size,)
        if not all(type(side) is int and 1 <= side <= LONGEST_SIDE for side in sides):
            raise ValueError(f"should be a whole number of pixels from 1 to {LONGEST_SIDE}")
        match sides:
            case (int(side),):
                return side
            case (int(width), int(height)):
                return width, height
        raise ValueError("should be a long side, or a texture's width and height")

    @field_validator("styles")
    @classmethod
    def _some_style(cls, styles: tuple[StyleImage, ...]) -> tuple[StyleImage, ...]:
        if not any(style.weight > 0 for style in styles):
            raise ValueError("the style images' weights are all zero")
        return styles

    @field_validator("terms")
    @classmethod
    def _unique_terms(cls, terms: tuple[TermChoice, ...]) -> tuple[TermChoice, ...]:
        names = [term.name for term in terms]
        if len(set(names)) < len(names):
            raise ValueError("a loss term is named twice")
        return terms

    @model_validator(mode="after")
    def _regions_fit_the_styles(self) -> Self:
        if self.regions is None:
            return self
        if any(style.mask for style in self.styles):
            raise ValueError(
                "regions and a style's mask exclude each other: both say where a style is wanted"
            )
        maps, styles = len(self.regions.styles), len(self.styles)
        if maps != styles:
            raise ValueError(f"regions has {maps} maps of styles for {styles} styles")
        return self

    @property
    def has_style_regions(self) -> bool:
        """True if a style is confined to a region of the result."""
        return self.regions is not None or any(style.mask for style in self.styles)

    @property
    def start_path(self) -> str | None:
        """Path of the image file to start from, or None."""
        return self.init.options.get("path") if self.init.name == "file" else None

    @property
    def input_paths(self) -> list[str]:
        """Paths of all image files and folders that the job reads, as written in the job."""
        paths = [self.content, *(style.image for style in self.styles), self.start_path]
        masks = [self.content_mask, *(style.mask for style in self.styles)]
        if self.regions:
            masks += [self.regions.content, *self.regions.styles]
        return [path for path in (*paths, *masks) if path is not None]

    def as_table(self) -> dict[str, Any]:
        """Return plain values for TOML and JSON, in the order of the fields.

        Fields that were not set and have their default are left out.
        """
        values = self.model_dump(exclude_none=True)
        values["styles"] = [
            style.model_dump(exclude_none=True, exclude_unset=True) for style in self.styles
        ]
        fields = type(self).model_fields
        return {
            name: value
            for name, value in values.items()
            if name in self.model_fields_set or getattr(self, name) != fields[name].default
        }


def is_pair(size: object) -> bool:
    """Return whether a job's size is that of a texture, (width, height)."""
    return isinstance(size, list | tuple)
