"""Lets torchvision import beside a CPU build of torch.

PyPI's Linux wheel of torchvision is a CUDA build. Beside a CPU-only torch its compiled operators do not load, and
`import torchvision` stops at "operator torchvision::nms does not exist", because it registers a fake kernel for that
operator. A declaration without an implementation is enough for code that does not suppress boxes. Nothing is declared
where the real operators exist.
"""

import sys
from threading import Lock

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[object] = []
_lock = Lock()


def declare_missing_operators() -> None:
    """Declare the operators. Call this before importing torchvision, or a package that imports it such as lpips."""
    with _lock:
        if _declared or "torchvision" in sys.modules:
            return
        try:
            import torchvision  # noqa: F401
        except ImportError:
            return  # the caller's own import says so
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            _declare()


def _declare() -> None:
    import torch

    for name in [module for module in sys.modules if module.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(operator + _SCHEMA)
    _declared.append(library)
