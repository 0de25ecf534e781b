"""Code that runs in a thread of its own, but only ever one step at a time: when a test says so, and with the luck that it says."""

import threading
from collections.abc import Callable, Iterator
from enum import StrEnum

from storage import ObjectMeta, Store, StoreUnavailable

PATIENCE_SECONDS = 60.0


class Luck(StrEnum):
    """How a step ends."""

    GOOD = "good"
    UNAVAILABLE = "unavailable"
    """Storage does not answer, and nothing was done."""
    UNHEARD = "unheard"
    """Storage does as it is asked, and the answer is lost."""
    BROKEN = "broken"
    """The video cannot be decoded."""
    CUT = "cut"
    """The video cannot be decoded behind its first frame."""
    BLURRED = "blurred"
    """The video's last frame cannot be decoded."""
    BUSY = "busy"
    """The engine has no time."""


class Killed(BaseException):
    """What ends a puppet that is killed; nothing that it runs catches this."""


class Puppet:
    """Somebody whose every step waits to be let go."""

    def __init__(self, play: Callable[["Puppet"], None]) -> None:
        self.about_to = ""
        """The step it waits before; nothing once it has ended."""
        self._turn, self._rest = threading.Semaphore(0), threading.Semaphore(0)
        self._luck: Luck | None = None
        self._error: BaseException | None = None
        threading.Thread(target=self._run, args=(play,), daemon=True).start()
        self._wait()

    @property
    def over(self) -> bool:
        return not self.about_to

    def step(self, what: str) -> Luck:
        """Wait before a step, in the puppet's own thread; returns its luck."""
        self.about_to = what
        self._rest.release()
        self._turn.acquire()
        if self._luck is None:
            raise Killed
        return self._luck

    def go(self, luck: Luck = Luck.GOOD) -> None:
        """Let it take one step."""
        self._let_go(luck)

    def finish(self) -> None:
        """Let it take all steps that are left, with good luck."""
        while not self.over:
            self.go()

    def kill(self) -> None:
        """End it where it stands."""
        if not self.over:
            self._let_go(None)

    def _let_go(self, luck: Luck | None) -> None:
        self._luck = luck
        self._turn.release()
        self._wait()

    def _wait(self) -> None:
        assert self._rest.acquire(timeout=PATIENCE_SECONDS), f"it hangs: {self.about_to}"
        if self._error is not None:
            raise self._error

    def _run(self, play: Callable[["Puppet"], None]) -> None:
        try:
            play(self)
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where the strings are pulled
            self._error = error
        self.about_to = ""
        self._rest.release()


class SteppedStore:
    """A store whose every call that may find something else later is a step. Objects never change, so that reading one is none."""

    def __init__(self, store: Store, puppet: Puppet) -> None:
        self.url = store.url
        self.get, self.get_range = store.get, store.get_range
        self._store, self._puppet = store, puppet

    def head(self, key: str) -> ObjectMeta:
        self._ask(f"look at {key}")
        return self._store.head(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        self._ask(f"list {prefix}")
        yield from self._store.list(prefix, start_after=start_after)

    def create(self, key: str, body: bytes) -> bool:
        luck = self._ask(f"create {key}")
        created = self._store.create(key, body)
        if luck is Luck.UNHEARD:
            raise StoreUnavailable(f"The answer about {key} was lost.")
        return created

    def replace(self, key: str, body: bytes) -> None:
        self._ask(f"replace {key}")
        self._store.replace(key, body)

    def _ask(self, what: str) -> Luck:
        luck = self._puppet.step(what)
        if luck is Luck.UNAVAILABLE:
            raise StoreUnavailable(f"It does not answer: {what}.")
        return luck
