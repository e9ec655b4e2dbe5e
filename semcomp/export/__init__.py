"""ONNX graphs of a codec and its heads, for clients without torch.

    export_onnx("edge/", heads=["street"])   # graphs, tables.safetensors, manifest.json

codec_parts, entropy_parts and generator_parts define what a graph computes, in the terms of part. graph writes one
graph, folder writes them all. check compares the graphs with torch, int8 quantizes them.
"""

from semcomp.export.folder import export_onnx

__all__ = ["export_onnx"]
