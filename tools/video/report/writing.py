"""Writing of the files beside a finished video."""

from __future__ import annotations

from ..events import VideoListener
from ..painting import PaintingTask
from ..work.flows import Flows
from .contact_sheet import write_contact_sheet
from .extras import Extras
from .frame_by_frame import compared_frames, paint_frame_by_frame
from .page import Subject, write_report


def write_extras(extras: Extras, task: PaintingTask, record: str, listener: VideoListener) -> None:
    """Write the contact sheet and the report that are wanted, of a painted video.

    For the report some frames are painted by themselves, which stay in the work folder. Raises
    KeyboardInterrupt after a request to stop, and StylectlError.
    """
    if extras.contact_sheet is not None:
        with task.stops.deferred():
            write_contact_sheet(extras.contact_sheet, task.folder, task.table, task.last_pass)
        task.stops.raise_deferred()
    if extras.report is None:
        return
    flows = Flows(task.video.flow, task.video.flow_label, task.folder)
    starts = tuple(number for number in range(len(task.table)) if flows.starts_scene(number))
    compared = compared_frames(starts, len(task.table))
    if len(compared) > 1:
        paint_frame_by_frame(task, compared, listener)
    write_report(extras.report, Subject(task, flows, starts, compared, record), listener)
