"""Two fields of different moments, woven into one frame, to a picture of one moment."""

from fractions import Fraction

from av.filter.graph import Graph
from av.video.frame import VideoFrame

SMALLEST = 3
"""Lines and columns that the filter needs."""
ANY_CLOCK = Fraction(1, 1000)
"""A source must have a time base; with one frame nothing depends on it."""


def progressive(frame: VideoFrame) -> VideoFrame:
    """Keep the first field and rebuild the other's lines, where they do not fit, from the lines above and below.

    Of FFmpeg's filters only yadif does so for a frame without neighbours and leaves the lines that fit alone: much material that is
    flagged as interlaced is not (see docs/adr/0010).
    """
    if not frame.interlaced_frame or min(frame.width, frame.height) < SMALLEST:
        return frame
    graph = _graph(frame)
    graph.vpush(frame)
    graph.vpush(None)
    whole = graph.vpull()
    whole.colorspace, whole.color_range = frame.colorspace, frame.color_range
    whole.color_trc, whole.color_primaries = frame.color_trc, frame.color_primaries
    return whole


def _graph(frame: VideoFrame) -> Graph:
    graph = Graph()
    graph.threads = 1  # a child may not start any
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=ANY_CLOCK)
    graph.link_nodes(source, graph.add("yadif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph
