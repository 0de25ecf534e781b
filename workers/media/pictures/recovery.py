"""Tells H.264's gradual refresh, where a packet that the container calls a keyframe is but the first of many that make a whole picture."""

from collections.abc import Iterator

from av.codec.context import CodecContext

SEI = 6
"""ITU-T H.264, table 7-1: the NAL unit of supplemental information."""
RECOVERY_POINT = 6
"""H.264, D.1.8: its payload that says after how many frames decoding from here is right."""
NAL_TYPE = 0x1F
AVCC_LENGTH_AT = 4
"""Where an `avcC` box says how long its NAL units' lengths are (ISO/IEC 14496-15, 5.3.3.1)."""
START_CODE = b"\x00\x00\x01"
MORE = 0xFF
STOP = 0x80


def begins_recovery(body: bytes, codec: CodecContext) -> bool:
    """Whether an H.264 packet carries a recovery point, as open GOPs do too: ask where no picture came out."""
    if codec.name != "h264":
        return False
    header = codec.extradata or b""
    units = _prefixed(body, (header[AVCC_LENGTH_AT] & 3) + 1) if len(header) > AVCC_LENGTH_AT and header[0] == 1 else _marked(body)
    return any(RECOVERY_POINT in _payloads(unit[1:]) for unit in units if unit and unit[0] & NAL_TYPE == SEI)


def _prefixed(body: bytes, length_bytes: int) -> Iterator[bytes]:
    position = 0
    while position < len(body):
        start = position + length_bytes
        position = start + int.from_bytes(body[position:start])
        yield body[start:position]


def _marked(body: bytes) -> Iterator[bytes]:
    """Annex B: units behind start codes."""
    return iter(body.split(START_CODE)[1:])


def _payloads(messages: bytes) -> Iterator[int]:
    """H.264, 7.3.2.3.1: type and size are sums of bytes, of which 0xFF says that more follow."""
    position = 0
    while position + 1 < len(messages) and messages[position] != STOP:
        kind, position = _sum(messages, position)
        size, position = _sum(messages, position)
        position += size
        yield kind


def _sum(messages: bytes, position: int) -> tuple[int, int]:
    total = 0
    while position < len(messages) and messages[position] == MORE:
        total, position = total + MORE, position + 1
    last = messages[position] if position < len(messages) else 0
    return total + last, position + 1
