"""Settings of a video beside those of a job: which frames, how they are held together, the file."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .choices import Choice, Weight
from .halves import HOW_COMPUTED

#: Most seconds of a time; FFmpeg counts in 64 bits of millionths.
_MOST_SECONDS = 1e9

_Seconds = Annotated[float, Field(ge=0, le=_MOST_SECONDS, allow_inf_nan=False)]


class VideoSettings(BaseModel):
    """Settings of a video.

    core/job/options/video.py describes them. Those marked `HOW_COMPUTED` decide how the finished
    frames are written, not what is in them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: _Seconds | None = None
    end: _Seconds | None = None
    every: int = Field(default=1, ge=1)
    fps: float | None = Field(default=None, gt=0, le=1000, allow_inf_nan=False)
    deinterlace: bool = False
    frame_iterations: int | None = Field(default=None, ge=1)
    passes: int = Field(default=1, ge=1, le=100)
    temporal_weight: Weight = 100.0
    offsets: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(
        default=(1, 2, 4, 8), min_length=1, max_length=16
    )
    flow: Choice = Choice(name="dis")
    to: tuple[Weight, ...] | None = None
    codec: Annotated[str | None, HOW_COMPUTED] = None
    crf: Annotated[int | None, HOW_COMPUTED] = Field(default=None, ge=0, le=63)

    @field_validator("offsets")
    @classmethod
    def _sorted_offsets(cls, offsets: tuple[int, ...]) -> tuple[int, ...]:
        if list(offsets) != sorted({*offsets}) or offsets[0] != 1:
            raise ValueError("should be increasing distances from 1 on, such as 1,2,4,8")
        return offsets

    @model_validator(mode="after")
    def _end_after_start(self) -> Self:
        if self.end is not None and self.end <= (self.start or 0):
            raise ValueError("end should be after start")
        if self.every > 1 and self.fps is not None:
            raise ValueError("every and fps exclude each other: both choose the frames")
        return self

    @field_validator("to")
    @classmethod
    def _some_weight(cls, weights: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if weights is not None and not any(weights):
            raise ValueError("the weights are all zero")
        return weights

    def as_table(self) -> dict[str, Any]:
        """Return plain values for TOML and JSON; those that have their default are left out."""
        values = self.model_dump(exclude_none=True, exclude_defaults=True)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }
