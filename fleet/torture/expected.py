"""What must become of each input: found by decoding the clips here, where nothing is killed, and asking the engine's own function."""

import json
from collections.abc import Iterable
from uuid import uuid4

from fleet.torture.clips import Clip
from fleet.torture.fate import Fate
from schemas.errors import OperatorError, PermanentError
from schemas.recipe import Recipe
from schemas.video import VideoRef
from storage import shared_store
from workers.engines.scripted import scripted_answer
from workers.fetch import open_video
from workers.keyframe import Keyframe, Picture
from workers.room import Room
from workers.settings import WorkerSettings


def fates(clips: Iterable[Clip], recipe: Recipe) -> dict[str, Fate]:
    """Say by name how each clip must end.

    Raises:
        OperatorError: a clip does not end here as it was made to end, so that nothing could be held against it.
    """
    room, place = Room(WorkerSettings(engine="scripted")), f"memory://torture-{uuid4().hex}"
    try:
        return {clip.name: _fate(room, place, clip, recipe) for clip in clips}
    finally:
        room.close()


def _fate(room: Room, place: str, clip: Clip, recipe: Recipe) -> Fate:
    found = _tried(room, place, clip, recipe)
    wanted = clip.reason or ""
    if found.reason != wanted:
        raise OperatorError(
            f"{clip.name} was made to end with {wanted or 'captions'}, but ends with {found.reason or 'captions'}; run: framefleet doctor"
        )
    return found


def _tried(room: Room, place: str, clip: Clip, recipe: Recipe) -> Fate:
    store = shared_store(place)
    store.create(clip.name, clip.body)
    video = VideoRef(uri=f"{place}/{clip.name}", etag=store.head(clip.name).etag, size_bytes=len(clip.body))
    try:
        frames = list(room.keyframes(open_video(video), recipe, only_frames=None))
    except PermanentError as error:
        return Fate(reason=error.reason.value)
    return Fate(tuple(_caption(frame.picture, recipe) for frame in frames if isinstance(frame, Keyframe)))


def _caption(picture: Picture, recipe: Recipe) -> str:
    return str(json.loads(scripted_answer(picture, recipe.key_order))["description"])
