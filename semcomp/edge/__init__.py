"""A client without torch, which runs the graphs of `semcomp export onnx` on numpy and onnxruntime.

    codec = semcomp.edge.EdgeCodec("edge/")
    data = codec.encode("photo.png", quality=50)
    image = codec.decode(data)
    latents = codec.latents(data)            # no pixel is made
    codec.classify(latents), codec.segment(latents)

It needs numpy, onnxruntime and Pillow. constriction makes its entropy coder faster where it is installed. This client
reads the files of the library, and the library reads the files of this client.
"""

from semcomp.edge.client import EdgeCodec

__all__ = ["EdgeCodec"]
