"""Reads on in an MPEG transport stream, from a place or from where the next keyframe should be, until a keyframe is complete."""

from dataclasses import dataclass, replace

from workers.media.child.objectfile import ObjectFile
from workers.media.child.unusable import UnusableIndexError
from workers.media.pictures.decoding import refuse_encrypted
from workers.media.readers.excerpt import Excerpt
from workers.media.readers.opening import Video, VideoPacket, open_to_demux
from workers.media.readers.rhythm import Guess, Rhythm
from workers.media.readers.starts import Start, Window, ticks_between
from workers.media.readers.tables import Tables
from workers.media.wire import Job

LOOK_BYTES = 4 * 188 * 48
"""What is read at a place first: about 35 KB, and whole packets of 188 bytes as well as of 192."""
STEP_BYTES, END_BYTES, MOST_STEP_BYTES = 64 * 1024, 32 * 1024, 4 * 1024 * 1024
"""The least that is read on with, that with which a keyframe's end is looked for, and the most in search of where one begins."""
MARGIN_BYTES = 24 * 1024
"""At least so much before where a keyframe should be is read with it; an eighth of what is passed over, if that is more."""
MOST_STEPS = 5
MOST_MISSES = 2
"""Guesses that may fail one after the other; then there are no more."""
WORTHWHILE_PLACES = 4
"""For fewer, to read a second keyframe would not pay."""
MOST_HELD_BYTES = 64 * 1024 * 1024
BUFFER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """A keyframe, demuxed, and what it was demuxed from."""

    packet: VideoPacket
    seconds: float
    excerpt: Excerpt


class Growth:
    """Finds a keyframe from each of some places, and learns on the way how far apart keyframes are."""

    def __init__(self, file: ObjectFile, job: Job, tables: Tables, places: int) -> None:
        self._file = file
        self._job = job
        self._tables = tables
        self._pid = self._opened(Excerpt([(0, tables.packets)])).stream.id
        self._rhythm: Rhythm | None = None
        self._is_first = places >= WORTHWHILE_PLACES
        self._misses = 0

    def found(self, start: int, following: int) -> Found:
        """Find a keyframe that begins between a place and the next.

        Raises:
            UnusableIndexError: there is none.
        """
        window = self._window(start, LOOK_BYTES)
        if window.key is None and self._rhythm is not None:
            window = self._led(self._rhythm, window, following) or window
        one = self._grown(window, following)
        self._learn(window, following)
        return one

    def _window(self, start: int, size: int) -> Window:
        window = Window(self._file, self._tables, self._pid, start)
        window.grow(size)
        return window

    def _opened(self, excerpt: Excerpt) -> Video:
        video = open_to_demux(excerpt, "mpegts", self._job, buffer_size=BUFFER_BYTES)
        if len(video.container.streams.video) != 1:
            raise UnusableIndexError("The stream has not one video.")
        return video

    def _led(self, rhythm: Rhythm, look: Window, following: int) -> Window | None:
        """Go to where the next keyframe should be; None if there is none."""
        for _ in range(MOST_STEPS):
            if not look.starts:  # the place is in the midst of a large picture
                look.grow(STEP_BYTES)
        guess = rhythm.guess(look.starts[-1]) if look.starts else None
        window = self._sought(guess, look, following) if guess is not None else None
        self._misses = self._misses + 1 if window is None else 0
        if self._misses == MOST_MISSES:
            self._rhythm = None
        return window

    def _sought(self, guess: Guess, look: Window, following: int) -> Window | None:
        seen = look.starts[-1]
        place = guess.place(seen)
        margin = max(MARGIN_BYTES, (place - seen.place) // 8)
        if place >= following:
            return None
        begins = (place - margin) // self._tables.packet_bytes * self._tables.packet_bytes
        if begins < look.ends + MARGIN_BYTES:
            window, least = look, look.begins
            window.grow(place + self._key_bytes + END_BYTES - look.ends)
        else:
            window, least = self._window(begins, margin + self._key_bytes + END_BYTES), look.ends
        steps = 0
        while window.key is None and steps < MOST_STEPS and _step(window, guess, margin, least, following):
            steps += 1
        return None if window.key is None else window

    def _grown(self, window: Window, following: int) -> Found:
        """Read on until a keyframe that begins before the next place is complete."""
        while True:
            key = window.key
            one = self._demuxed(window, following) if key is None or window.is_last or window.follows(key) else None
            if one is not None:
                return one
            if window.is_last or window.ends >= (following if key is None else following + MOST_HELD_BYTES):
                raise UnusableIndexError("A part of the stream has no keyframe of its own.")
            window.grow(self._more(window))

    def _more(self, window: Window) -> int:
        if window.key is None or self._key_bytes == 0:
            return max(STEP_BYTES, len(window.body) // 2)
        return max(END_BYTES, window.key.place + self._key_bytes + END_BYTES // 2 - window.ends)

    @property
    def _key_bytes(self) -> int:
        return 0 if self._rhythm is None else self._rhythm.key_bytes

    def _demuxed(self, window: Window, following: int) -> Found | None:
        excerpt = Excerpt([(0, self._tables.packets + window.body)])
        video = self._opened(excerpt)
        packet = _key_packet(video, is_last=window.is_last)
        if packet is None:
            return None
        if packet.pts is None or packet.pos is None or self._place(window, packet.pos) >= following:
            raise UnusableIndexError("A part of the stream has no keyframe of its own.")
        if packet.pts < 0:
            raise UnusableIndexError("Time begins anew soon: what FFmpeg makes of it depends on where the stream begins.")
        return Found(packet, float(packet.pts * video.time_base), excerpt)

    def _place(self, window: Window, position: int) -> int:
        return window.begins + position - len(self._tables.packets)

    def _learn(self, window: Window, following: int) -> None:
        key = window.key
        if key is None or not window.follows(key):
            return
        size = next(start.place for start in window.starts if start.place > key.place) - key.place
        if self._rhythm is not None:
            self._rhythm = replace(self._rhythm, last=key, key_bytes=max(size, (3 * self._rhythm.key_bytes + size) // 4))
        elif self._is_first:
            following_key = self._second(window, key, following)
            if following_key is not None:
                self._rhythm = Rhythm(ticks_between(key.ticks, following_key.ticks), key, size)
        self._is_first = False

    def _second(self, window: Window, key: Start, following: int) -> Start | None:
        """Read on until another keyframe begins."""
        until = min(following, window.begins + MOST_HELD_BYTES)
        while True:
            second = next((start for start in window.starts if start.is_key and start.place > key.place), None)
            if second is not None or window.ends >= until:
                return second
            window.grow(max(STEP_BYTES, len(window.body) // 4))


def _step(window: Window, guess: Guess, margin: int, least: int, following: int) -> bool:
    """Bring the window nearer to where the keyframe should be; false if it is not there."""
    early = [start for start in window.starts if ticks_between(start.ticks, guess.ticks) >= 0]
    late = [start for start in window.starts if ticks_between(start.ticks, guess.ticks) < 0]
    if early and late:
        return False
    if early:
        place = guess.place(early[-1])
        window.grow(_bounded(place + margin - window.ends))
        return place < following and not window.is_last
    back = late[0].place - guess.place(late[0]) + margin if late else margin
    if window.begins <= least:
        return False
    window.grow_back(_bounded(back), least=least)
    return True


def _bounded(size: int) -> int:
    return min(max(size, LOOK_BYTES), MOST_STEP_BYTES)


def _key_packet(video: Video, *, is_last: bool) -> VideoPacket | None:
    """The first keyframe, if it is complete: if something follows it."""
    key: VideoPacket | None = None
    for packet in video.container.demux(video.stream):
        if key is not None and packet.size:
            return key
        if key is None and packet.size and packet.is_keyframe:
            refuse_encrypted(packet)
            key = packet
    return key if is_last else None
