"""The graphs of generators.

    generator_NAME  y_hat, quality, guide, keep, noise16, noise8 -> x_hat, pixels     tiles overlap by its reach
    blend           generated, faithful, keep -> pixels           for every generator, where something is kept

The inputs are described in semcomp.generative.network. Its modules guide and noise make guide and noise without torch.
"""

from torch import Tensor, nn

from semcomp.codec.codec import Codec
from semcomp.export.codec_parts import PIXELS, SIZES, picture, to_pixels
from semcomp.export.part import QUALITY, Part, Value, latents
from semcomp.generative.generator_file import TrainedGenerator
from semcomp.generative.render import feather

KEEP = Value(name="keep", shape=(1, 1, "rows", "columns"), range=(0, 1))


class GeneratorPart(nn.Module):
    """y_hat (1, M, h, w), quality, guide, keep and noise -> x_hat and pixels, with the shapes of SynthesisPart."""

    def __init__(self, generator: TrainedGenerator):
        super().__init__()
        self.generator = generator.network

    def forward(
        self, y_hat: Tensor, quality: Tensor, guide: Tensor, keep: Tensor, noise16: Tensor, noise8: Tensor
    ) -> tuple[Tensor, Tensor]:
        x_hat = self.generator(y_hat, quality, guide, keep, (noise16, noise8))
        return x_hat, to_pixels(x_hat)


class BlendPart(nn.Module):
    """Two pictures (1, 3, 16h, 16w) and keep (1, 1, h, w) -> pixels, faithful deep inside what is kept."""

    def forward(self, generated: Tensor, faithful: Tensor, keep: Tensor) -> tuple[Tensor]:
        return (to_pixels(generated + feather(keep) * (faithful - generated)),)


def generator_part(codec: Codec, generator: TrainedGenerator) -> Part:
    """The part of a generator."""
    network, fine = generator.network, ("2 * rows", "2 * columns")
    guide = Value(name="guide", shape=(1, network.config.classes + 1, *fine), range=(0, 1))
    noise16 = Value(name="noise16", shape=(1, network.config.c16, "rows", "columns"))
    noise8 = Value(name="noise8", shape=(1, network.config.c8, *fine))
    return Part(
        name=f"generator_{generator.name}",
        module=GeneratorPart(generator),
        reach=network.reach,
        inputs=(latents(codec, "y_hat"), QUALITY, guide, KEEP, noise16, noise8),
        outputs=(picture("x_hat"), PIXELS),
        sizes=SIZES,
    )


def blend_part() -> Part:
    """The part that follows every generator where something of a picture is kept."""
    inputs = (picture("generated"), picture("faithful"), KEEP)
    return Part(name="blend", module=BlendPart(), inputs=inputs, outputs=(PIXELS,), sizes=SIZES, reach=1)
