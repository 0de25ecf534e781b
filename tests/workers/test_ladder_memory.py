"""A picture that was answered is in nobody's way."""

import asyncio
import gc
import weakref
from collections import Counter

from climbing import GOOD, RECIPE, SENSELESS, Teller, stop

from workers.keyframe import Form, Picture
from workers.ladder import annotate


class Watched(Picture):
    """A picture of which one can see whether it is still in memory."""

    __slots__ = ("__weakref__",)


def test_a_picture_that_took_several_rungs_is_let_go_with_its_answer():
    picture = Watched(b"no real file", width=16, height=16, form=Form.JPEG)
    seen = weakref.ref(picture)
    climbing = annotate(Teller(SENSELESS, SENSELESS, stop(GOOD)), picture, RECIPE, counts=Counter(), deadline_seconds=60)
    del picture
    gc.disable()  # a collector that comes by now and then would do for a test, not for a worker full of pictures
    try:
        assert asyncio.run(climbing).usage.rung == "free"
        assert seen() is None
    finally:
        gc.enable()
