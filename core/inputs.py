"""A job's images: read, with their masks and shares."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .canvas import canvas_size
from .colormap import paired_regions
from .errors import UsageError
from .files import status_of
from .images import SUFFIXES, Picture, read_picture
from .job import Job
from .masks import mask_of
from .plan import Plan
from .shares import shares_of


@dataclass(frozen=True)
class Place:
    """A region that takes a style, and where in the style image its statistics are found: masks
    (see core/masks.py), None for the whole. The shares of all places add up to the part of the
    picture that has a style."""

    region: Tensor | None
    own_region: Tensor | None
    share: float


@dataclass(frozen=True)
class StyleInput:
    """A style image. `source` is the index of the job's style that it belongs to, `scale` that
    style's; `share` is its part of the mixture of all, and adds up to 1."""

    picture: Picture
    source: int
    scale: float
    share: float
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Inputs:
    """The content image (a texture has none), the style images, the image to start from, if the job
    names one, and the content's mask. `hashes` has the SHA-256 of each file, by its path in the
    job; `notices` is what the user should know."""

    content: Picture | None
    styles: tuple[StyleInput, ...]
    start: Picture | None
    content_mask: Tensor | None
    hashes: Mapping[str, str]
    notices: tuple[str, ...]


def read_inputs(plan: Plan) -> Inputs:
    """Raises UsageError or ImageError for a file that cannot be used."""
    return _Reader(plan.job).inputs()


@dataclass(frozen=True)
class _Under:
    """What a mask or a map lies over: an image, or a texture's canvas; sizes in pixels."""

    name: str
    height: int
    width: int

    @classmethod
    def of(cls, picture: Picture) -> _Under:
        return cls(picture.path, *picture.size)


class _Reader:
    """Reads a job's files, and keeps their hashes and what is to be said of them."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._hashes: dict[str, str] = {}
        self._masks: dict[str, Tensor] = {}
        self._notices: list[str] = []

    def inputs(self) -> Inputs:
        job = self._job
        content = self._picture(job.content) if job.content is not None else None
        under = _Under.of(content) if content else _Under("the texture", *canvas_size(job, None))
        styles = self._styles(under)
        start = self._picture(job.start_path) if job.start_path else None
        mask = self._mask(job.content_mask, under)
        return Inputs(content, styles, start, mask, self._hashes, tuple(self._notices))

    def _picture(self, path: str) -> Picture:
        picture = read_picture(path, self._job.max_pixels)
        self._hashes[path] = picture.sha256
        return picture

    def _mask(self, path: str | None, image: _Under) -> Tensor | None:
        """Of the same file, the same tensor: the regions of one mask are one region."""
        if path is None:
            return None
        if path not in self._masks:
            self._masks[path] = mask_of(self._over(path, image))
        return self._masks[path]

    def _over(self, path: str, image: _Under) -> Picture:
        """A mask or map for an image; another size is said."""
        picture = self._picture(path)
        height, width = picture.size
        if picture.size != (image.height, image.width):
            # The nearest whole height of the image's aspect: what scaling an image gives.
            stretched = abs(height - width * image.height / image.width) > 1
            how = "stretched" if stretched else "scaled"
            self._notices.append(
                f"{path} has {width}x{height} px and is {how} to {image.name}, "
                f"which has {image.width}x{image.height} px"
            )
        return picture

    def _styles(self, content: _Under) -> tuple[StyleInput, ...]:
        used = [(number, style) for number, style in enumerate(self._job.styles) if style.weight]
        pictures = [[self._picture(path) for path in style_files(s.image)] for _, s in used]
        if self._job.regions:
            regions = self._paired([number for number, _ in used], content, pictures)
        else:
            regions = [[(self._mask(style.mask, content), None)] for _, style in used]
        claims = [
            (style.weight, region)
            for (_, style), its_regions in zip(used, regions, strict=True)
            for region, _ in its_regions
        ]
        shares, covered = shares_of(claims)
        remaining = iter(shares)
        inputs = []
        for (number, style), images, its_regions in zip(used, pictures, regions, strict=True):
            each = [next(remaining) / len(images) for _ in its_regions]
            places = tuple(
                Place(region, own, share * covered)
                for (region, own), share in zip(its_regions, each, strict=True)
            )
            if places:
                inputs += [
                    StyleInput(image, number, style.scale, sum(each), places) for image in images
                ]
        return tuple(inputs)

    def _paired(
        self, numbers: Sequence[int], content: _Under, pictures: Sequence[Sequence[Picture]]
    ) -> list[list[tuple[Tensor | None, Tensor | None]]]:
        """By style, the regions of its map that the content's map has as well."""
        regions = self._job.regions
        assert regions is not None
        for number, images in zip(numbers, pictures, strict=True):
            if _is_folder(self._job.styles[number].image):
                raise UsageError(
                    f"regions: {regions.styles[number]} cannot be the map of a folder "
                    f"({len(images)} images); name one image of it"
                )
        content_map = self._over(regions.content, content)
        maps = [
            self._over(regions.styles[number], _Under.of(images[0]))
            for number, images in zip(numbers, pictures, strict=True)
        ]
        pairs, notices = paired_regions(content_map, maps)
        self._notices += notices
        return [[(region, own) for region, own in each] for each in pairs]


def input_files(job: Job) -> list[str]:
    """The image files that a job reads, those in a style's folder instead of the folder.

    Raises UsageError for a folder without images.
    """
    used = [style for style in job.styles if style.weight]
    files = [job.content, *(file for style in used for file in style_files(style.image))]
    files += [job.start_path, job.content_mask, *(style.mask for style in used)]
    if job.regions:
        maps = zip(job.regions.styles, job.styles, strict=True)
        files += [job.regions.content, *(path for path, style in maps if style.weight)]
    return [file for file in files if file is not None]


def style_files(path: str) -> list[str]:
    """The image itself, or those that lie in a folder, by name; hidden files are left out.

    Raises UsageError for a folder without images.
    """
    if not _is_folder(path):
        return [path]
    try:
        files = sorted(
            file.as_posix()
            for file in Path(path).iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        )
    except OSError as error:
        raise UsageError(f"{path}: the folder cannot be read ({error.strerror})") from None
    if not files:
        raise UsageError(f"{path}: the folder has no image in it that stylectl reads")
    return files


def _is_folder(path: str) -> bool:
    status = status_of(Path(path))
    return status is not None and stat.S_ISDIR(status.st_mode)
