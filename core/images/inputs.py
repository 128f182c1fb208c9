"""Reading a job's images, with their masks and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..errors import UsageError
from ..interfaces.source_image import SourceImage
from ..job.model import Job
from ..sizes.fitting import result_size
from .decoding import read_image
from .files import is_folder, style_files
from .masks import mask_of
from .region_maps import paired_regions
from .style_shares import shares_of


@dataclass(frozen=True)
class StyleRegion:
    """A region of the result that takes a style, and where in the style image its statistics are
    taken: masks (see masks.py), None for the whole image. The shares of all regions add up to the
    part of the result that has a style."""

    region: Tensor | None
    own_region: Tensor | None
    share: float


@dataclass(frozen=True)
class StyleInput:
    """A style image. `source` is the index of the job's style that it belongs to, `scale` that
    style's; `share` is its part of the mixture of all, and adds up to 1."""

    image: SourceImage
    source: int
    scale: float
    share: float
    regions: tuple[StyleRegion, ...]


@dataclass(frozen=True)
class Inputs:
    """The content image (a texture has none), the style images, the image to start from, if the job
    names one, and the content's mask. `hashes` has the SHA-256 of each file, by its path in the
    job; `notices` is what the user should know."""

    content: SourceImage | None
    styles: tuple[StyleInput, ...]
    start: SourceImage | None
    content_mask: Tensor | None
    hashes: Mapping[str, str]
    notices: tuple[str, ...]


def read_inputs(job: Job) -> Inputs:
    """Read every image of a job. Raises UsageError or ImageError for a file that cannot be used."""
    return _Reader(job).inputs()


@dataclass(frozen=True)
class _Under:
    """What a mask or a map lies over: an image, or a texture's canvas; sizes in pixels."""

    name: str
    height: int
    width: int

    @classmethod
    def of(cls, image: SourceImage) -> _Under:
        return cls(image.path, *image.size)


class _Reader:
    """Reads a job's files, and keeps their hashes and the notices about them."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._hashes: dict[str, str] = {}
        self._masks: dict[str, Tensor] = {}
        self._notices: list[str] = []

    def inputs(self) -> Inputs:
        job = self._job
        if job.content is None:
            content = None
            under = _Under("the texture", *result_size(job.size, None, job.upscale))
        else:
            content = self._image(job.content)
            under = _Under.of(content)
        styles = self._styles(under)
        start = self._image(job.start_path) if job.start_path else None
        mask = self._mask(job.content_mask, under)
        return Inputs(content, styles, start, mask, self._hashes, tuple(self._notices))

    def _image(self, path: str) -> SourceImage:
        image = read_image(path, self._job.max_pixels)
        self._hashes[path] = image.sha256
        return image

    def _mask(self, path: str | None, under: _Under) -> Tensor | None:
        """The mask of a file; for the same file the same tensor: its regions are one region."""
        if path is None:
            return None
        if path not in self._masks:
            self._masks[path] = mask_of(self._over(path, under))
        return self._masks[path]

    def _over(self, path: str, under: _Under) -> SourceImage:
        """A mask or map for an image; a notice is made if it has another size."""
        image = self._image(path)
        height, width = image.size
        if image.size != (under.height, under.width):
            # The nearest whole height of the image's aspect: what scaling an image gives.
            stretched = abs(height - width * under.height / under.width) > 1
            how = "stretched" if stretched else "scaled"
            self._notices.append(
                f"{path} has {width}x{height} px and is {how} to {under.name}, "
                f"which has {under.width}x{under.height} px"
            )
        return image

    def _styles(self, under: _Under) -> tuple[StyleInput, ...]:
        used = [(number, style) for number, style in enumerate(self._job.styles) if style.weight]
        folders = [[self._image(path) for path in style_files(s.image)] for _, s in used]
        if self._job.regions:
            masks = self._paired([number for number, _ in used], under, folders)
        else:
            masks = [[(self._mask(style.mask, under), None)] for _, style in used]
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
                StyleRegion(region, own, share * covered)
                for (region, own), share in zip(pairs, parts, strict=True)
            )
            if regions:
                inputs += [
                    StyleInput(image, number, style.scale, sum(parts), regions) for image in images
                ]
        return tuple(inputs)

    def _paired(
        self, numbers: Sequence[int], under: _Under, folders: Sequence[Sequence[SourceImage]]
    ) -> list[list[tuple[Tensor | None, Tensor | None]]]:
        """By style, the regions of its map that the content's map has as well."""
        regions = self._job.regions
        assert regions is not None
        for number, images in zip(numbers, folders, strict=True):
            if is_folder(self._job.styles[number].image):
                raise UsageError(
                    f"regions: {regions.styles[number]} cannot be the map of a folder "
                    f"({len(images)} images); name one image of it"
                )
        content_map = self._over(regions.content, under)
        maps = [
            self._over(regions.styles[number], _Under.of(images[0]))
            for number, images in zip(numbers, folders, strict=True)
        ]
        paired, notices = paired_regions(content_map, maps)
        self._notices += notices
        return [[(region, own) for region, own in pairs] for pairs in paired]
