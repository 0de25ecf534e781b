"""FFmpeg's last words, which make a dead letter worth reading. A copy lies where the parent finds it, should the child die of the next."""

import logging
import mmap
from collections import deque

import av.logging

from workers.media.wire import LENGTH, LOG_AT, LOG_BYTES

LINES_KEPT = 24
LONGEST_LINE = 300
TAIL_CHARACTERS = 2000


class LogLines(logging.Handler):
    """Keeps the last lines that FFmpeg logs, in bounded memory."""

    def __init__(self, memory: mmap.mmap) -> None:
        super().__init__()
        self._memory = memory
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
        self._leave_behind()

    def take(self) -> str:
        """Return the lines kept, and begin anew."""
        tail = self._tail()
        self._lines.clear()
        self._leave_behind()
        return tail

    def _tail(self) -> str:
        return "\n".join(self._lines)[-TAIL_CHARACTERS:]

    def _leave_behind(self) -> None:
        body = self._tail().encode(errors="replace")[-(LOG_BYTES - LENGTH.size) :]
        self._memory[LOG_AT : LOG_AT + LENGTH.size + len(body)] = LENGTH.pack(len(body)) + body
