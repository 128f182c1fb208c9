"""The job: everything that determines a picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .byte_sizes import bytes_of
from .images import DEFAULT_MAX_PIXELS, SAMPLES
from .strength import NEUTRAL

#: A weight: zero or more, and finite.
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_MOST_SCALES = 20
#: Of a picture, in pixels.
LONGEST_SIDE = 65536
#: Whose colors the picture has, and by which method; see core/color.py.
ColorFrom = Literal["style", "luminance", "histogram", "covariance"]

_NETWORK_FILES = (".safetensors", ".pth", ".pt", ".onnx")


class Choice(BaseModel):
    """Something chosen by name, with options of its own: ``"torch"``, or ``{name = "torch",
    device = "cuda"}``. The options are validated by what the name stands for; see `choice_table`
    for the short form."""

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

    def with_options(self, options: BaseModel) -> Self:
        """The same choice with every option spelled out."""
        return self.model_validate({**self.model_dump(), **options.model_dump(exclude_none=True)})


class TermChoice(Choice):
    """A loss term of the objective. `layers` maps a layer to its weight within the term; a plain
    list shares the weight equally; left out, the backbone's own choice is taken."""

    weight: Weight = 1.0
    layers: dict[str, Weight] | None = Field(default=None, min_length=1)

    @field_validator("layers", mode="before")
    @classmethod
    def _equal_shares(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        if len(set(map(str, value))) < len(value):
            raise ValueError("name a layer twice")
        return {name: 1 / len(value) for name in value}


class StyleImage(BaseModel):
    """A style image, or a folder of them, and its share among the styles (only the ratios matter).
    `mask` is an image of where in the result the style is wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    weight: Weight = 1.0
    scale: float = Field(
        default=1.0, gt=0, le=8, description="size at which it is seen: 0.5 halves its motifs"
    )
    mask: str | None = None


class Regions(BaseModel):
    """A map of the content's regions and one of each style's: images in plain colors. A region of
    the content takes the styles' statistics from what has the same color in their maps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: str
    styles: tuple[str, ...] = Field(min_length=1)


class Job(BaseModel):
    """Everything that determines a picture.

    Paths are relative to the folder that the program runs in; in a file, to the file's own folder.
    A texture is a picture without a content image: `content` is None, `size` is [width, height]. A
    size of two numbers says it where `content` is left out, and one number is then a square's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: str | None = "sample:photo"
    styles: tuple[StyleImage, ...] = Field(
        default=(StyleImage(image="sample:painting"),), min_length=1
    )
    content_mask: str | None = Field(
        default=None, description="an image of where the result is held to the content"
    )
    regions: Regions | None = None
    color: ColorFrom = "style"
    size: int | tuple[int, int] = Field(
        default=512, description="long side of the result, in pixels; of a texture, both sides"
    )
    preview: bool = Field(default=False, description="paint the job small and quickly")
    seamless: bool = Field(default=False, description="let it go on at the opposite edges")
    upscale: bool = Field(default=False, description="allow a result larger than the content image")
    scales: int | Literal["auto"] = Field(
        description="sizes of the coarse-to-fine schedule, at most; auto: as many as the size needs"
    )
    iterations: int = Field(ge=1, description="optimizer steps, over all scales together")
    seed: int = Field(default=0, ge=0, lt=2**63)
    max_pixels: int = Field(
        default=DEFAULT_MAX_PIXELS, ge=1, description="largest input image that is decoded"
    )
    max_memory: str | None = Field(
        default=None, description="what the program may hold, such as 4GB; large pictures are tiled"
    )
    backend: Choice = Choice(name="torch")
    backbone: Choice = Choice(name="vgg19")
    init: Choice
    optimizer: Choice
    strength: float = Field(
        default=NEUTRAL,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="0 is nearly the photograph, 1 all painting; 0.5 takes the weights as they are",
    )
    normalize_gradients: bool = Field(
        default=False, description="give each term's gradient at each layer an L1 norm of 1"
    )
    terms: tuple[TermChoice, ...] = Field(min_length=1)

    @field_validator("scales", mode="before")
    @classmethod
    def _count_or_auto(cls, value: object) -> object:
        if value == "auto" or (str(value).isdecimal() and 1 <= int(str(value)) <= _MOST_SCALES):
            return value
        raise ValueError(f"should be auto, or a whole number from 1 to {_MOST_SCALES}")

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
            raise ValueError("regions and a style's mask exclude each other: both say where")
        maps, styles = len(self.regions.styles), len(self.styles)
        if maps != styles:
            raise ValueError(f"regions has {maps} maps of styles for {styles} styles")
        return self

    @property
    def confines_styles(self) -> bool:
        """Whether some style is wanted at some places alone."""
        return self.regions is not None or any(style.mask for style in self.styles)

    @property
    def start_path(self) -> str | None:
        """The image file to start from, if there is one."""
        return self.init.options.get("path") if self.init.name == "file" else None

    @property
    def input_paths(self) -> list[str]:
        """Every image file or folder that the job reads, as it names them."""
        paths = [self.content, *(style.image for style in self.styles), self.start_path]
        masks = [self.content_mask, *(style.mask for style in self.styles)]
        if self.regions:
            masks += [self.regions.content, *self.regions.styles]
        return [path for path in (*paths, *masks) if path is not None]

    def as_table(self) -> dict[str, Any]:
        """Plain values, for TOML and JSON: only what was set, in the order of the fields."""
        return self.model_dump(exclude_unset=True, exclude_none=True)


def is_pair(size: object) -> bool:
    """Whether a job's size is that of a texture."""
    return isinstance(size, list | tuple)


def choice_table(text: str) -> dict[str, str]:
    """The short form of a choice, NAME or NAME:MODEL, written out: ``torchvision:densenet121`` is
    the backbone `torchvision` with the option `model`."""
    name, colon, model = text.partition(":")
    return {"name": name, "model": model} if colon else {"name": name}


def map_paths(table: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """A job's plain values with `change` applied to each path of a file in it."""

    def changed(value: object) -> object:
        return change(value) if isinstance(value, str) and value not in SAMPLES else value

    def changed_in(value: object, *keys: str) -> object:
        """In a table, its paths under these keys; else the value, a path itself."""
        if not isinstance(value, dict):
            return changed(value)
        return {**value, **{key: changed(value[key]) for key in keys if key in value}}

    table = dict(table)
    for key in ("content", "content_mask"):
        if key in table:
            table[key] = changed(table[key])
    if isinstance(styles := table.get("styles"), list | tuple):
        table["styles"] = [changed_in(style, "image", "mask") for style in styles]
    if isinstance(regions := table.get("regions"), dict):
        table["regions"] = changed_in(regions, "content")
        if isinstance(maps := regions.get("styles"), list | tuple):
            table["regions"] |= {"styles": [changed(each) for each in maps]}
    for key, option in (("init", "path"), ("backbone", "weights"), ("backbone", "model")):
        choice = table.get(key)
        if isinstance(choice, str):
            choice = choice_table(choice)
        if isinstance(choice, dict) and is_path(choice.get(option), option):
            table[key] = {**choice, option: changed(choice[option])}
    return table


def is_path(value: object, option: str) -> bool:
    """Whether an option's value names a file; networks may also be named by a word."""
    return isinstance(value, str) and (option == "path" or value.endswith(_NETWORK_FILES))


def moved(path: str, base: Path, to: Path) -> str:
    """`path`, relative to the folder `base`, as it is called from the folder `to`."""
    if Path(path).is_absolute():
        return path
    try:
        return Path(os.path.relpath(base / path, to)).as_posix()
    except ValueError:  # another drive on Windows
        return str((base / path).resolve())
