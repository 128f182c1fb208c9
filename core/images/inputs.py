"""Inputs of a run: the images of a job, with their masks, regions and shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ..errors import ImageError, UsageError
from ..interfaces.source_image import SourceImage
from ..job.choices import Crop
from ..job.model import Job
from ..sizes.fitting import Size, result_size
from .alpha import without_hidden_colors
from .decoding import read_image
from .files import ListFiles, is_folder, style_files
from .formats.icc import MatrixProfile
from .formats.limits import Limits
from .margins.cropping import Cropped, cropped_like
from .masks import mask_of, opacity, resized
from .reduction import AsMap, AsMask, AtSizes, PixelsUse, SizesOf
from .region_maps import RegionMap, paired_regions, region_map
from .style_shares import shares_of

#: Bytes for each pixel of what follows decoding: filling of transparent pixels, and their mask.
_FILLING = 16


@dataclass(frozen=True)
class StyleRegion:
    """Region of the result that gets a style, and region of the style image for its statistics.

    - `region`, `own_region`: masks (see masks.py) over the result and over the style image; None
      for the whole image. What is transparent in the style image is not in its `own_region`.
    - `share`: the shares of all regions add up to the part of the result that has a style.
    """

    region: Tensor | None
    own_region: Tensor | None
    share: float


@dataclass(frozen=True)
class StyleInput:
    """A style image.

    - `source`: index of the job's style that the image belongs to.
    - `relative_size`: that style's `size`.
    - `share`: the image's part of the mixture of all; the shares add up to 1.
    """

    image: SourceImage
    source: int
    relative_size: float
    share: float
    regions: tuple[StyleRegion, ...]


@dataclass(frozen=True)
class Inputs:
    """Images of a job, as they were read.

    - `content`: None for a texture.
    - `start`: the image to start from, if the job names one.
    - `content_mask`: the content's mask, if it has one.
    - `hashes`: SHA-256 of each file that the job names, by its path in the job.
    - `notices`: messages for the user.
    """

    content: SourceImage | None
    styles: tuple[StyleInput, ...]
    start: SourceImage | None
    content_mask: Tensor | None
    hashes: Mapping[str, str]
    notices: tuple[str, ...]


class UsedSizes(ABC):
    """Sizes, (height, width), at which a run uses its images; none: at any size."""

    @abstractmethod
    def of_content(self, size: Size) -> Sequence[Size]:
        """Return the sizes at which a content image of `size` is used."""

    @abstractmethod
    def of_style(self, content: Size | None, relative_size: float, size: Size) -> Sequence[Size]:
        """Return the sizes at which a style image of `size` is used.

        `relative_size` is the style's `size`; the content of a texture is None.
        """


class AnySizes(UsedSizes):
    """Any sizes, so that all pixels are kept."""

    def of_content(self, size: Size) -> Sequence[Size]:
        """Return the sizes of the content image."""
        return ()

    def of_style(self, content: Size | None, relative_size: float, size: Size) -> Sequence[Size]:
        """Return the sizes of a style image."""
        return ()


def read_inputs(
    job: Job, files_of: ListFiles = style_files, used_sizes: UsedSizes | None = None
) -> Inputs:
    """Read every image of a job; `files_of` lists the files of a style.

    Images much larger than the `used_sizes` are kept at those alone. Raises UsageError or
    ImageError for a file that cannot be used, and MemoryLimitError.
    """
    return _Reader(job, files_of, used_sizes or AnySizes()).inputs()


def _limits(job: Job) -> Limits:
    """Return the limits of the job's images; on a GPU, `max_memory` limits the device's memory."""
    device = str(job.backend.options.get("device", "auto"))
    on_host = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
    return Limits(job.max_pixels, job.max_memory if on_host else None)


@dataclass(frozen=True)
class _Masked:
    """Image or texture that a mask or a map covers; sizes in pixels."""

    name: str
    height: int
    width: int

    @classmethod
    def of(cls, image: SourceImage) -> _Masked:
        return cls(image.path, *image.outer_size)


class _Reader:
    """Reader of a job's files; collects their hashes and the notices about them."""

    def __init__(self, job: Job, files_of: ListFiles, used_sizes: UsedSizes) -> None:
        self._job, self._files_of, self._used_sizes = job, files_of, used_sizes
        self._limits = _limits(job)
        self._hashes: dict[str, str] = {}
        self._masks: dict[str, Tensor] = {}
        # In order, each once: an image that is read twice has its notices once.
        self._notices: dict[str, None] = {}

    def inputs(self) -> Inputs:
        job = self._job
        if job.content is None:
            content = None
            masked = _Masked("the texture", *result_size(job.size, None, job.upscale))
        else:
            content = self._image(job.content, self._used_sizes.of_content)
            masked = _Masked.of(content)
            self._check_profile(content)
        styles = self._styles(masked, content.size if content else None)
        start = None
        if job.start_path:
            start_size = (masked.height, masked.width)
            start = self._image(job.start_path, lambda _: self._used_sizes.of_content(start_size))
        mask = self._mask(job.content_mask, masked)
        return Inputs(content, styles, start, mask, self._hashes, tuple(self._notices))

    def _image(self, path: str, sizes_of: SizesOf, crop: Crop = "none") -> SourceImage:
        image = self._read(path, Cropped(AtSizes(sizes_of), crop, path))
        if image.alpha is not None:
            width, height = image.rgb.size
            self._limits.check_memory(path, width, height, _FILLING * height * width)
        return without_hidden_colors(image)

    def _read(self, path: str, use: PixelsUse) -> SourceImage:
        """Return the image of a file as it is; the colors of transparent pixels are the file's."""
        image = read_image(path, self._limits.max_pixels, self._limits.max_memory, use)
        self._hashes[path] = image.sha256
        self._notices |= dict.fromkeys(image.notices)
        return image

    def _check_profile(self, content: SourceImage) -> None:
        """Add a notice if the result cannot have the content's color profile."""
        profile = content.metadata.profile
        if self._job.color_profile == "keep" and profile and not MatrixProfile.of(profile):
            self._notices[
                f"{content.path}: the result is sRGB: its color profile is not one of a matrix and "
                "three curves, which pixels can be converted back to"
            ] = None

    def _mask(self, path: str | None, masked: _Masked) -> Tensor | None:
        """Return the mask of a file: for the same file the same tensor, so the same region."""
        if path is None:
            return None
        if path not in self._masks:
            side = self._largest_side()
            image = self._covering_image(path, masked, AsMask(side))
            self._masks[path], notices = mask_of(image, side)
            self._notices |= dict.fromkeys(notices)
        return self._masks[path]

    def _covering_image(self, path: str, masked: _Masked, use: PixelsUse) -> SourceImage:
        """Return the image of a mask or map; add a notice if its size differs."""
        image = self._read(path, use)
        height, width = image.size
        if image.size != (masked.height, masked.width):
            # Scaling rounds the height to whole pixels, so up to 1 px is not a change of aspect.
            stretched = abs(height - width * masked.height / masked.width) > 1
            how = "stretched" if stretched else "scaled"
            self._notices[
                f"{path} has {width}x{height} px and is {how} to {masked.name}, "
                f"which has {masked.width}x{masked.height} px"
            ] = None
        return image

    def _styles(self, masked: _Masked, content: Size | None) -> tuple[StyleInput, ...]:
        used = [(number, style) for number, style in enumerate(self._job.styles) if style.weight]
        folders = []
        for _, style in used:
            sizes_of = partial(self._used_sizes.of_style, content, style.size)
            paths = self._files_of(style.image)
            folders.append([self._image(path, sizes_of, style.crop) for path in paths])
        if self._job.regions:
            masks = self._mapped_regions([number for number, _ in used], masked, folders)
        else:
            masks = [[(self._mask(style.mask, masked), None)] for _, style in used]
        weighted = [
            (style.weight, region)
            for (_, style), pairs in zip(used, masks, strict=True)
            for region, _ in pairs
        ]
        shares, covered = shares_of(weighted)
        remaining = iter(shares)
        inputs = []
        for (number, style), images, pairs in zip(used, folders, masks, strict=True):
            parts = [next(remaining) / len(images) for _ in pairs]
            regions = tuple(
                StyleRegion(region, own_region, share * covered)
                for (region, own_region), share in zip(pairs, parts, strict=True)
            )
            if regions:
                inputs += [
                    StyleInput(image, number, style.size, sum(parts), _visible(regions, image))
                    for image in images
                ]
        return tuple(inputs)

    def _mapped_regions(
        self, numbers: Sequence[int], masked: _Masked, folders: Sequence[Sequence[SourceImage]]
    ) -> list[list[tuple[Tensor | None, Tensor | None]]]:
        """Return, for each style, the regions of its map that the content's map also has."""
        regions = self._job.regions
        assert regions is not None
        for number, images in zip(numbers, folders, strict=True):
            if is_folder(self._job.styles[number].image):
                raise UsageError(
                    f"regions: {regions.styles[number]} cannot be the map of a folder "
                    f"({len(images)} images); name one image of it"
                )
        content_map = self._map(regions.content, masked)
        maps = [
            self._map(regions.styles[number], _Masked.of(images[0]), images[0])
            for number, images in zip(numbers, folders, strict=True)
        ]
        paired, notices = paired_regions(content_map, maps)
        self._notices |= dict.fromkeys(notices)
        return [[(region, own_region) for region, own_region in pairs] for pairs in paired]

    def _map(self, path: str, masked: _Masked, style: SourceImage | None = None) -> RegionMap:
        image = self._covering_image(path, masked, AsMap())
        if style is not None:
            image = cropped_like(image, style)
        read = region_map(image, self._largest_side())
        self._notices |= dict.fromkeys(read.notices)
        return read

    def _largest_side(self) -> int:
        """Return a long side, in pixels, that no image of the run exceeds."""
        size = self._job.size
        long_side = size if isinstance(size, int) else max(size)
        return round(long_side * max(1.0, *(style.size for style in self._job.styles)))


def _visible(regions: Sequence[StyleRegion], image: SourceImage) -> tuple[StyleRegion, ...]:
    """Return the regions without the transparent part of their style image.

    Raises ImageError for a region with nothing else in it.
    """
    if image.alpha is None:
        return tuple(regions)
    alpha = opacity(image.alpha)
    visible = []
    for region in regions:
        own_region = alpha
        if region.own_region is not None:
            own_region = resized(region.own_region, *alpha.shape) * alpha
        if not own_region.any():
            raise ImageError(f"{image.path}: the image is transparent in one of its map's regions")
        visible.append(replace(region, own_region=own_region))
    return tuple(visible)
