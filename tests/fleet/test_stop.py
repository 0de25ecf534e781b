import signal
import threading
import time

import pytest

from fleet.stop import Stop, listening


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_counted_and_afterwards_mean_what_they_meant(number: int) -> None:
    before, stop = signal.getsignal(number), Stop()
    with listening(stop):
        assert not stop()
        for _ in range(3):
            signal.raise_signal(number)
        assert (stop(), stop.asked) == (True, 3)
    assert signal.getsignal(number) is before


def test_who_cannot_look_in_time_is_interrupted_by_the_second() -> None:
    stop = Stop(thrown=2)
    with listening(stop):
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)


def test_a_sleeper_wakes_when_it_is_to_stop() -> None:
    stop, started = Stop(), time.monotonic()
    stop.sleep(0.05)
    assert time.monotonic() - started >= 0.05
    threading.Timer(0.1, setattr, (stop, "asked", 1)).start()
    stop.sleep(60)
    assert time.monotonic() - started < 30
