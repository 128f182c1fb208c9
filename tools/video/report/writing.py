"""Writing of the files beside a finished video."""

from __future__ import annotations

from ....core.planning.registry import Registry
from ....core.run.checkpointing import Checkpointing
from ....core.sizes.fitting import Size
from ....core.stopping import StopRequests
from ..events import VideoListener
from ..planning import VideoPlan
from ..work.flows import Flows
from ..work.folder import FrameTable, WorkFolder
from .contact_sheet import write_contact_sheet
from .extras import Extras
from .frame_by_frame import compared_frames, paint_frame_by_frame
from .page import Subject, write_report


def write_extras(
    extras: Extras,
    video: VideoPlan,
    registry: Registry,
    folder: WorkFolder,
    table: FrameTable,
    size: Size,
    record: str,
    listener: VideoListener,
    checkpoints: Checkpointing | None,
    stops: StopRequests,
) -> None:
    """Write the contact sheet and the report that are wanted.

    For the report some frames are painted by themselves, which stay in the work folder. Raises
    KeyboardInterrupt after a request to stop, and StylectlError.
    """
    if extras.contact_sheet is not None:
        with stops.deferred():
            write_contact_sheet(extras.contact_sheet, folder, table, video.settings.passes - 1)
        stops.raise_deferred()
    if extras.report is None:
        return
    flows = Flows(video.flow, video.flow_label, folder)
    starts = tuple(number for number in range(len(table)) if flows.starts_scene(number))
    compared = compared_frames(starts, len(table))
    if len(compared) > 1:
        paint_frame_by_frame(
            video, registry, folder, table, size, compared, listener, checkpoints, stops
        )
    subject = Subject(video, folder, table, flows, starts, compared, size, record)
    write_report(extras.report, subject, listener)
