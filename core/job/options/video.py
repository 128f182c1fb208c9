"""Table of the settings of a video, from which the flags of ``stylectl video`` are made.

The values are fields of `VideoSettings` (core/job/video.py); this table is read without pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VideoOption:
    """A setting of a video.

    - `name`: the field of `VideoSettings`; the flag is ``--name`` with dashes.
    - `metavar`: what stands for its value in the help text; empty for a switch.
    """

    name: str
    help: str
    metavar: str = ""


#: The order is that of the help text.
_OPTIONS = (
    VideoOption("start", "Second of the clip from which on frames are taken.", "SECONDS"),
    VideoOption("end", "Second of the clip at which the video ends.", "SECONDS"),
    VideoOption("every", "Take one of this many frames.", "N"),
    VideoOption("fps", "Take frames at this rate; of numbered images, the rate they have.", "X"),
    VideoOption("deinterlace", "Make full frames of an interlaced clip's half frames."),
    VideoOption(
        "frame_iterations",
        "Optimizer steps of a frame that goes on from the one before. Default: a quarter of "
        "--iterations.",
        "N",
    ),
    VideoOption(
        "temporal_weight",
        "How firmly a frame is held to the frames before: larger is steadier. Default: 100.",
        "X",
    ),
    VideoOption("passes", "Paint the clip this many times, forward and backward in turn.", "N"),
    VideoOption(
        "offsets",
        "Distances of the former frames that a frame is held to. Default: 1,2,4,8.",
        "N,N",
    ),
    VideoOption(
        "flow",
        "Estimator of the optical flow, with its options (stylectl list flows). Default: dis.",
        "NAME[:KEY=VALUE]...",
    ),
    VideoOption(
        "to",
        "Weights of several style images at the end of the clip, to which they fade from "
        "--style-weights.",
        "X,Y",
    ),
    VideoOption("codec", "Of the output: h264, hevc, vp9, av1, prores or ffv1.", "NAME"),
    VideoOption("crf", "Quality of the output: smaller is better, and larger files.", "N"),
)

#: Setting by its name.
VIDEO_OPTIONS = {option.name: option for option in _OPTIONS}
