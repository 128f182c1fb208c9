"""Full frames from the half images of interlaced video, by FFmpeg's filter bwdif."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph
    from av.video.stream import VideoStream


def deinterlaced(frames: Iterable[VideoFrame], stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield a full frame for each frame, whether it is marked as interlaced or not."""
    graph: Graph | None = None
    for frame in frames:
        graph = graph or _graph(frame, stream)
        graph.vpush(frame)
        yield from _ready(graph)
    if graph:
        graph.vpush(None)
        yield from _ready(graph)


def _graph(frame: VideoFrame, stream: VideoStream) -> Graph:
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or stream.time_base,
    )
    graph.link_nodes(
        source, graph.add("bwdif", "mode=send_frame:deint=all"), graph.add("buffersink")
    )
    graph.configure()
    return graph


def _ready(graph: Graph) -> Iterator[VideoFrame]:
    import av

    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
