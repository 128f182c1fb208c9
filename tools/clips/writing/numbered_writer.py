"""Writing of numbered images, PNG or TIFF with 8 or 16 bits."""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ....core.files import whole_file
from ....core.interfaces.writer import RECORD_KEY
from ....core.leftovers import PRIVATE, temporary_folder
from ....plugins.writers.pixels import Carried, whole_numbers
from ....plugins.writers.png16 import write_png16
from ....plugins.writers.tif import srgb_profile
from ..target import ClipTarget
from .frame_writer import FrameWriter


class NumberedWriter(FrameWriter):
    """Writer of images into a temporary folder beside the target's, numbered from 1.

    The first image has the record.
    """

    def __init__(self, target: ClipTarget, stack: ExitStack, record: str | None) -> None:
        self._target = target
        self._record = record
        self._folder = target.path.parent.absolute()
        self._temporary = stack.enter_context(temporary_folder(self._folder.parent, PRIVATE))
        (self._temporary / self._folder.name).mkdir()
        self._count = 0

    def add(
        self, pixels: np.ndarray, alpha: np.ndarray | None, time: float, duration: float
    ) -> None:
        """See FrameWriter.add."""
        self._count += 1
        values = np.asarray(pixels, np.float32).clip(0, 1)
        if self._target.alpha:
            channel = np.ones(values.shape[:2], np.float32) if alpha is None else alpha.clip(0, 1)
            values = np.concatenate([values, channel[..., None]], axis=2)
        record = self._record if self._count == 1 else None
        file = self._temporary / self._folder.name / (self._target.path.name % self._count)
        with whole_file(file) as temporary:
            if file.suffix.lower() == ".png":
                self._write_png(temporary, values, record)
            else:
                self._write_tiff(temporary, values, record)

    def finish(self) -> None:
        """Move the images to their folder: a new one at once, else one by one."""
        done = self._temporary / self._folder.name
        if self._folder.exists():
            with suppress(OSError):
                self._folder.rmdir()  # an empty one
        if not self._folder.exists():
            done.replace(self._folder)
            return
        for file in sorted(done.iterdir()):
            file.replace(self._folder / file.name)

    def close(self) -> None:
        """See FrameWriter.close."""

    def _write_png(self, file: Path, values: np.ndarray, record: str | None) -> None:
        info = PngInfo()
        info.add(b"sRGB", bytes([0]))
        if record is not None:
            info.add_itxt(RECORD_KEY, record)
        if self._target.bits == 16:
            write_png16(file, values, info, Carried(None, "", None, b"", b"", None))
        else:
            Image.fromarray(whole_numbers(values, 8)).save(file, "PNG", pnginfo=info)

    def _write_tiff(self, file: Path, values: np.ndarray, record: str | None) -> None:
        import tifffile

        description = None if record is None else json.dumps(json.loads(record))
        tifffile.imwrite(
            file,
            whole_numbers(values, self._target.bits),
            photometric="rgb",
            planarconfig="contig",
            extrasamples=["unassalpha"] if values.shape[2] == 4 else None,
            compression="zlib",
            predictor=True,
            metadata=None,
            software="",
            iccprofile=srgb_profile(),
            description=description,
        )
