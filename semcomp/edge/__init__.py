"""A client without torch: numpy and onnxruntime alone, on the graphs that `semcomp export onnx` wrote.

    codec = semcomp.edge.EdgeCodec("edge/")
    data = codec.encode("photo.png", quality=50)
    image = codec.decode(data)
    latents = codec.latents(data)            # no pixel is made
    codec.classify(latents), codec.segment(latents)

It needs numpy, onnxruntime and Pillow; constriction makes the entropy coder faster where it is installed. Files cross
in both directions between this client and the library.
"""

from semcomp.edge.client import EdgeCodec

__all__ = ["EdgeCodec"]
