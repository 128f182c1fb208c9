"""Maintainer script: the estimated and the measured memory of a run.

    python -m stylectl.tools.maintenance.memory_table sample:photo sample:painting --size 512
    --set max_memory=2GB

prints both in MB (10^6 bytes), beside what the program holds before the first step. It shows how
well the constants of `core/memory/estimate.py` fit. It needs Linux, whose kernel keeps the peak.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...core.machine.malloc import keep_freed_memory
from ..console.exit import run_and_exit

if TYPE_CHECKING:
    from ...core.run.open_run import OpenRun
    from ...core.sizes.fitting import Size
    from ...core.sizes.tiles import Tiler

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main(
    photo: Annotated[str, typer.Argument(help="The content image, or sample:photo.")],
    painting: Annotated[str, typer.Argument(help="The style image, or sample:painting.")],
    size: Annotated[int, typer.Option(help="Long side in pixels.")] = 512,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE, as for stylectl run.")
    ] = None,
) -> None:
    """Print the memory of the first step at a single scale."""
    from ...core.run.session import Session
    from ...plugins.manager import load_plugins
    from ..bench.measuring import at_one_scale
    from ..queue.settings import fixed, read_settings

    keep_freed_memory()
    images = {"content": photo, "styles": [painting], "size": size, "device": "cpu"}
    models = load_plugins().registry.option_models
    with Session() as session:
        run = at_one_scale(session, fixed(read_settings(settings or [], models), images)).run
        held = _megabytes("VmRSS")
        _CLEAR.write_text("5")  # the peak begins anew
        steps = run.steps(0, None, print)
        for _ in range(2):
            next(steps)
        peak = _megabytes("VmHWM")
    print(f"estimated {estimate(run) / 1e6:.0f} MB, measured {peak - held:.0f} MB")


def estimate(run: OpenRun) -> float:
    """Return the estimated bytes of a run of one scale: of the binding or of a step, if more."""
    from ...core.memory.plan_estimate import scale_estimate

    (sizes,), (tilers,) = run.prepared.scales, run.tilers
    needed = scale_estimate(run.plan, run.prepared.recolored, sizes, run.backend.memory_factor)
    pixels = sizes.scale.pixels
    style_pixels, style_size = max(zip(sizes.style_pixels, sizes.styles, strict=True))
    binding = needed.binding(pixels, style_pixels, _largest_crop(tilers.styles, style_size))
    if tilers.result.most is None:
        return max(binding, needed.uncut(pixels))
    return max(binding, needed.cut(pixels, _largest_crop(tilers.result, sizes.scale.size)))


def _largest_crop(tiler: Tiler, size: Size) -> int:
    return max(height * width for height, width in tiler.crop_sizes(*size))


def _megabytes(key: str) -> float:
    """Return a figure of the kernel about this process, which it gives in KiB."""
    (line,) = [line for line in _STATUS.read_text().splitlines() if line.startswith(f"{key}:")]
    return 1024 * int(line.split()[1]) / 1e6


if __name__ == "__main__":
    run_and_exit(lambda: typer.run(main))
