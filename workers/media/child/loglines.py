"""FFmpeg's last words, which make a dead letter worth reading."""

import logging
from collections import deque

import av.logging

LINES_KEPT = 24
LONGEST_LINE = 300
TAIL_CHARACTERS = 2000


class LogLines(logging.Handler):
    """Keeps the last lines that FFmpeg logs, in bounded memory."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)

    def listen(self) -> None:
        """Have FFmpeg's errors come here, and nowhere else."""
        logger = logging.getLogger("libav")
        logger.addHandler(self)
        logger.propagate = False
        av.logging.set_level(av.logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        self._lines.append(record.getMessage()[:LONGEST_LINE])

    def take(self) -> str:
        """Return the lines kept, and begin anew."""
        tail = "\n".join(self._lines)[-TAIL_CHARACTERS:]
        self._lines.clear()
        return tail
