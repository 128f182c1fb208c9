"""Times of a video's frames, from the timestamps in its file."""

from __future__ import annotations

from fractions import Fraction


class FrameTimes:
    """Times of frames in seconds from the first one, each later than the one before.

    Of the two timestamps that a decoder gives, the one is used that went back less often so far:
    some files have those of decoding alone, and a decoder that sorts the frames then mixes them up.
    (FFmpeg's `guess_correct_pts` in libavcodec/decode.c.)
    """

    def __init__(self, origin: Fraction, gap: Fraction) -> None:
        """Count from `origin`, the timestamp of the first frame; `gap` is the usual distance."""
        self._origin, self._gap = origin, gap
        self._last_pts: Fraction | None = None
        self._last_dts: Fraction | None = None
        self._faults_pts = self._faults_dts = 0
        self._has_dts = False
        self._time: Fraction | None = None
        #: Time after which the timestamps jumped back for the first time; None if they never did.
        self.jump: Fraction | None = None

    def next(self, pts: Fraction | None, dts: Fraction | None) -> Fraction:
        """Return the time of the next frame, of its presentation and decoding timestamps.

        A frame without any comes a gap after the one before. After a jump back the times go on
        evenly; a timestamp that repeats is put between its neighbors.
        """
        stamp = self._better(pts, dts)
        before = self._time
        if before is None:
            time = Fraction(0) if stamp is None else stamp - self._origin
        elif stamp is None:
            time = before + self._gap
        else:
            time = stamp - self._origin
            behind = before - time
            if 0 <= behind < self._gap:
                time = before + self._gap / 2
            elif behind > 0:
                time = before + self._gap
                self._origin = stamp - time
                self.jump = time if self.jump is None else self.jump
        self._time = time
        return time

    def _better(self, pts: Fraction | None, dts: Fraction | None) -> Fraction | None:
        if pts is not None:
            self._faults_pts += self._last_pts is not None and pts <= self._last_pts
        if dts is not None:
            self._has_dts = True
            self._faults_dts += self._last_dts is not None and dts <= self._last_dts
        self._last_pts = dts if pts is None else pts
        self._last_dts = pts if dts is None else dts
        if pts is None:
            return dts
        # A decoder gives its last frames without a timestamp of decoding.
        return dts if self._has_dts and self._faults_pts > self._faults_dts else pts
