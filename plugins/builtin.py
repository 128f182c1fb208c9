"""The built-in plugins, which use the same hooks as third parties."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Name of a plugin -> its module, relative to this package. The modules import neither torch nor
#: ONNX Runtime before one of their contributions is created.
BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "backends": ".backends",
        "optimizers": ".optimizers",
        "presets": ".presets",
        "vgg19": ".backbones.vgg19",
        "torchvision_models": ".backbones.torchvision_models",
        "onnx_file": ".backbones.onnx_file",
        "content": ".losses.content",
        "covariance": ".losses.covariance",
        "histogram": ".losses.histogram",
        "laplacian": ".losses.pixels.laplacian",
        "moments": ".losses.moments",
        "mrf": ".losses.mrf",
        "nnst": ".losses.nnst",
        "sliced_wasserstein": ".losses.sliced_wasserstein",
        "strotss": ".losses.strotss",
        "style": ".losses.style",
        "temporal": ".losses.pixels.temporal",
        "total_variation": ".losses.pixels.total_variation",
        "wasserstein": ".losses.wasserstein",
        "png": ".writers.png",
        "pillow": ".writers.pillow",
        "tif": ".writers.tif",
        "npy": ".writers.npy",
        "numbers": ".writers.numbers",
        "gif": ".writers.gif",
        "mp4": ".writers.mp4",
        "report": ".writers.report",
        "dis": ".flows.dis",
        "raft": ".flows.raft",
        "flow_files": ".flows.files",
    }
)
