"""Static int8 quantization of a graph. Its convolutions read and write 8 bits; its inputs and outputs stay float.

Weights have a scale per channel, activations one per tensor, which calibration photos decide. Weights use 7 of their 8
bits, so that no sum saturates on a processor without VNNI. Residual sums stay float, so that errors do not add up
along a trunk. The layers in FLOAT_LAYERS stay float too. This is the BD-rate in percent that each group of layers
costs in 8 bits:

    analysis    linear +3.4 (2.8 dB at quality 90), patches +0.8; blocks8 -0.1, down, blocks16 and head 0.0
    synthesis   linear +4.5 (3.7 dB at quality 90), up4 +0.6, entry +0.3, render +0.3, expand +0.2; blocks16 +0.3,
                blocks8 +0.2, up8 +0.1; all layers outside FLOAT_LAYERS together +0.6
    heads       stem and logits, the first and the last layer, change the scores more than all other layers together;
                without downs.0, the largest change on a picture unlike photos is 0.07 instead of 0.21. A segmenter's
                last depthwise layer is faster in floating point, because it has few channels

    python -m benchmarks.int8_layers data/photos
"""

import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semcomp.codec.codec import Codec
from semcomp.edge.latent_coder import FAST
from semcomp.errors import ImageError, ModelError
from semcomp.export.part import Part
from semcomp.imaging.picture import from_array, open_picture
from semcomp.types import STRIDE_Y, STRIDE_Z

FLOAT_LAYERS = (
    *("analysis.linear", "analysis.patches"),
    *(
        "synthesis.linear",
        "synthesis.entry",
        "synthesis.up4",
        "synthesis.filters4",
        "synthesis.expand",
        "synthesis.render",
    ),
    *("network.stem", "network.downs.0", "network.logits", "network.depthwise", "network.into_blocks"),
    *("mean_path.entry", "mean_path.context", "mean_path.head", "mean_path.later"),
)
"""Layers that stay float, by the beginning of their names. benchmarks.int8_layers measures what they cost in 8 bits."""
FLOAT_PART = ".branches."
"""Part of the names of more layers that stay float: the branches of a context, which are not faster in 8 bits."""
MOVES = ("Transpose", "Reshape", "Slice")
"""Operations that move values and change none."""
MEAN = "mean"
INT8_PARTS = ("analysis", "synthesis", MEAN, "heads")
"""What can be quantized. One head alone is "head_NAME"."""
_HEAD = "head_"
QUALITIES = (5, 25, 50, 75, 95)
"""Qualities of the latents that calibrate."""
CROP, CROPS = 256, 32
"""Side of a crop of a photo in pixels, and largest number of crops."""
SAMPLE = Path(__file__).with_name("sample_photo.png")
"""The photo that calibrates where no photos are given. It is examples/photo.png."""


class Calibration:
    """The inputs of graphs for a set of photos."""

    def __init__(self, codec: Codec, directory: str | Path | None):
        """Cut photos into crops.

        Args:
            codec: Makes the latents.
            directory: Folder of photos. Files that are not pictures, and pictures below 64 pixels, are left out. None
                takes the sample photo as it is, in other colours, and at double contrast.

        Raises:
            ModelError: The folder holds no photo.
        """
        paths = [SAMPLE] if directory is None else sorted(Path(directory).rglob("*"))
        known = Image.registered_extensions()
        paths = _evenly([path for path in paths if path.suffix.lower() in known and path.is_file()], CROPS)
        self.codec, self.crops = codec, [crop for path in paths for crop in _crops(path, -(-CROPS // len(paths)))]
        """uint8 (h, w, 3) with sides of 64 to 256 pixels, spread evenly over the photos."""
        if directory is None:
            self.crops = [change(crop) for crop in self.crops for change in (np.asarray, _other_colours, _contrast)]
        if not self.crops:
            raise ModelError(
                f"there is no photo to calibrate with below {directory or SAMPLE}: give a folder of larger photos"
            )

    @cached_property
    def latents(self) -> list[dict[str, NDArray[Any]]]:
        """y_hat and quality of every crop. The qualities take turns."""
        found = []
        for crop, quality in zip(self.crops, cycle(QUALITIES), strict=False):
            y_hat = self.codec.latents_of_image(crop, quality=quality, precise=True).y_hat
            found.append({"y_hat": np.ascontiguousarray(y_hat.numpy()), "quality": np.array([quality], np.int64)})
        return found

    @cached_property
    def symbols(self) -> list[dict[str, NDArray[Any]]]:
        """Inputs of the mean path for the symbols of every crop. The qualities take turns."""
        found: list[dict[str, NDArray[Any]]] = []
        for crop, quality in zip(self.crops, cycle(QUALITIES), strict=False):
            picture = from_array(crop)
            symbols = self.codec.quantize(self.codec.analyse(picture), picture, quality=quality)
            z, y = symbols.z.astype(np.float32)[None], symbols.y.astype(np.float32)[None]
            size = tuple(STRIDE_Z // STRIDE_Y * side for side in z.shape[2:])
            kept = np.zeros((1, 1, *size), np.float32)
            kept[..., : y.shape[2], : y.shape[3]] = 1
            points = np.zeros((1, y.shape[1], *size), np.float32)
            points[..., : y.shape[2], : y.shape[3]] = y
            found.append({"z_hat": z, "points": points, "kept": kept, "quality": np.array([quality], np.int64)})
        return found

    def inputs(self, part: Part) -> Iterator[dict[str, NDArray[Any]]]:
        """The inputs of a graph for every crop: pixels, symbols or latents."""
        if part.name == FAST:
            return iter(self.symbols)
        if part.inputs[0].name == "pixels":
            return iter([{"pixels": crop[None]} for crop in self.crops])
        return iter(self.latents)


def _crops(path: Path, count: int) -> list[NDArray[Any]]:
    try:
        pixels = open_picture(path, convert=True).pixels
    except ImageError:
        return []
    height, width = (min(CROP, side // 64 * 64) for side in pixels.shape[:2])
    if not height or not width:
        return []
    rows, columns = (range(0, side - crop + 1, crop) for side, crop in zip(pixels.shape, (height, width), strict=False))
    corners = _evenly([(row, column) for row in rows for column in columns], count)
    return [np.ascontiguousarray(pixels[r : r + height, c : c + width]) for r, c in corners]


def _other_colours(crop: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(crop[..., ::-1])


def _contrast(crop: NDArray[Any]) -> NDArray[Any]:
    return np.clip(2 * crop.astype(np.int16) - 128, 0, 255).astype(np.uint8)


def _evenly(items: Sequence[Any], count: int) -> list[Any]:
    count = min(count, len(items))
    return [items[(2 * number + 1) * len(items) // (2 * count)] for number in range(count)]


def becomes_int8(part: Part, names: Sequence[str] = INT8_PARTS) -> bool:
    """Whether a graph is quantized: analysis, synthesis or a head, where `names` has it or "heads".

    The graph mean_fast goes by the name "mean". The sigma path decides bits and stays as it is.
    """
    if part.name.startswith(_HEAD):
        return part.name in names or "heads" in names
    return (MEAN if part.name == FAST else part.name) in {*names} & {*INT8_PARTS}


def quantised(
    model: Any, inputs: Iterator[dict[str, NDArray[Any]]], *, float_layers: Sequence[str] = FLOAT_LAYERS
) -> Any:
    """Quantize the convolutions of a graph.

    Args:
        model: The onnx.ModelProto in float32.
        inputs: Inputs of the graph, which decide the scales of activations.
        float_layers: Layers that stay float, by the beginning of their names.

    Returns:
        A new onnx.ModelProto.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return next(inputs, None)

    model = _folded(model)
    marked = model.metadata_props.add()  # the preprocessing is done; without this mark onnxruntime warns
    marked.key, marked.value = "onnx.quant.pre_process", "onnxruntime.quant"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            model,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "LeakyRelu", "Clip"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_floating(model, tuple(float_layers)),
        )
        return _with_float_sums(onnx.load(path))


def _folded(model: Any) -> Any:
    """Copy a graph and fold the Unsqueeze of weights into them.

    onnxruntime quantizes only weights per channel, and a layer without bias is found by its weight. The name of a
    folded weight begins with its old name.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto.FromString(model.SerializeToString())
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes, folded = list(model.graph.node), {}
    for node in nodes:
        if node.op_type == "Unsqueeze" and all(name in values for name in node.input):
            value, axes = (numpy_helper.to_array(values[name]) for name in node.input)
            name = folded[node.output[0]] = f"{node.input[0]}.{node.output[0]}"
            values[name] = numpy_helper.from_array(np.expand_dims(value, tuple(axes.tolist())), name)
    nodes = [node for node in nodes if node.output[0] not in folded]
    for node in nodes:
        node.input[:] = [folded.get(name, name) for name in node.input]
    used = {name for node in nodes for name in node.input}
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(tensor for name, tensor in values.items() if name in used)
    return model


def _with_float_sums(model: Any) -> Any:
    """Let sums read values that were computed in float. Convolutions read the 8-bit copies of these values."""
    maker = {output: node for node in model.graph.node for output in node.output}

    def wide(name: str) -> bool:
        node = maker.get(name)
        while node is not None and node.op_type in MOVES:
            node = maker.get(node.input[0])
        if node is None or node.op_type != "Conv":
            return node is not None and node.op_type in ("Add", "DepthToSpace")
        read = maker.get(node.input[0])
        return read is None or read.op_type != "DequantizeLinear"

    for node in model.graph.node:
        for position, name in enumerate(node.input if node.op_type in ("Add", "DepthToSpace") else ()):
            widened = maker.get(name)
            narrowed = maker.get(widened.input[0]) if widened and widened.op_type == "DequantizeLinear" else None
            if narrowed and wide(narrowed.input[0]):
                node.input[position] = narrowed.input[0]
    return model


def _floating(model: Any, layers: tuple[str, ...]) -> list[str]:
    """Names of the nodes that stay float: these layers, and activations that do not follow an integer convolution."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    floating = [
        node for node in convolutions if any(name.startswith(layers) or FLOAT_PART in name for name in node.input)
    ]
    made = {node.output[0] for node in convolutions if node not in floating}
    floating += [node for node in model.graph.node if node.op_type == "LeakyRelu" and node.input[0] not in made]
    return [node.name for node in floating]
