"""ONNX graphs of a codec and its heads, for clients without torch.

    export_onnx("edge/", heads=["street"])   # graphs, tables.safetensors, manifest.json

parts.py says what a graph computes, graph.py how it is written, check.py compares it with torch, folder.py writes all.
"""

from semcomp.export.folder import export_onnx

__all__ = ["export_onnx"]
