"""Lets torchvision import beside a CPU build of torch.

PyPI's Linux wheel of torchvision is a CUDA build. Beside a CPU-only torch its compiled operators do not load, and
`import torchvision` stops at "operator torchvision::nms does not exist", because it registers a fake kernel for it.
Declaring the operator, without an implementation, is enough for everything that does no box suppression. Nothing is
declared where the real ones exist.
"""

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[object] = []


def declare_missing_operators() -> None:
    """Call before importing torchvision, or a package that does (compressai, segmentation-models-pytorch, lpips)."""
    import sys

    if _declared or "torchvision" in sys.modules:
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        import torch

        for name in [module for module in sys.modules if module.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(operator + _SCHEMA)
        _declared.append(library)
