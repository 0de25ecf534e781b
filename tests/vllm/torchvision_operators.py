"""Declares torchvision's operators where its own library cannot load, since importing it asks for them.

transformers and vLLM use only its transforms, which are plain torch: the declarations are never called. Where the library
loads, nothing happens.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
KEPT: list[object] = []
"""A collected torch.library.Library takes its operators with it."""


class OperatorsFirst(MetaPathFinder):
    """Steps in once, when torchvision is about to be imported."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002
        if fullname != "torchvision":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path)
        if spec and spec.origin and not loads(Path(spec.origin).with_name("_C.so")):
            declare()
        return spec


def loads(library: Path) -> bool:
    import ctypes  # noqa: PLC0415 - every process of the environment imports this module

    import torch  # noqa: F401, PLC0415 - its libraries must be there before torchvision's

    try:
        ctypes.CDLL(str(library))
    except OSError:
        return False
    return True


def declare() -> None:
    import torch  # noqa: PLC0415

    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(name + SIGNATURE)
    KEPT.append(operators)


sys.meta_path.insert(0, OperatorsFirst())
