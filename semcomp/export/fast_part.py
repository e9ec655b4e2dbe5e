"""The mean path of a file that is read, all passes in one graph: for latents that go to heads.

    mean_fast    z_hat, points, kept, quality -> y_hat     points are what symbols decode to; kept is 1 where y is coded

`--int8` writes this graph. The blocks of the mean path run in 8 bits in it, which takes less time than float32. They
move y_hat by 0.026 rounding steps (root mean square) at quality 50, and by 0.11 at quality 90; rounding itself moves it
by 0.29. Pictures are decoded with mean_first and mean_next, in float32.
"""

import torch
from torch import Tensor, nn

from semcomp.codec.codec import Codec
from semcomp.edge.latent_coder import FAST
from semcomp.export.part import QUALITY, Part, Value, latents
from semcomp.networks.model import CodecModel
from semcomp.pipeline.passes import turns
from semcomp.types import Z_LIMIT


class MeanFastPart(nn.Module):
    """y_hat (1, M, h, w) of what was read: `CodecModel.two_passes` without a residual to choose."""

    orders: Tensor

    def __init__(self, model: CodecModel):
        super().__init__()
        self.passes, self.mean_path = model.config.passes, model.mean_path
        self.log_gain, self.log_inverse_gain = model.log_gain, model.log_inverse_gain
        orders = torch.zeros(self.passes, 2, 2)  # by the remainder of the channel
        for number in range(self.passes):
            for turn in turns(self.passes, number):
                orders[turn] = number
        self.register_buffer("orders", orders)

    def forward(self, z_hat: Tensor, points: Tensor, kept: Tensor, quality: Tensor) -> tuple[Tensor]:
        inverse_gain = torch.exp(self.log_inverse_gain(quality))
        both = torch.exp(self.log_gain(quality)) * inverse_gain
        read, features = points * inverse_gain, self.mean_path.features(z_hat, quality)
        rows, columns = points.shape[-2:]
        order = self.orders.repeat(1, rows // 2, columns // 2)[None]
        y_hat: Tensor | None = None
        for number in range(self.passes):
            decoded = self.mean_path.nth(features, y_hat, number) * both + read
            share = (order == number).to(points.dtype) * kept  # 1 P h w, for every P-th channel
            mine = (decoded.unflatten(1, (-1, self.passes)) * share[:, None]).flatten(1, 2)
            y_hat = mine if y_hat is None else y_hat + mine
        assert y_hat is not None
        return (y_hat,)


def mean_fast(codec: Codec) -> Part:
    """The part of a codec whose number of latents its passes divide."""
    config = codec.release.config
    fine = {"rows": "4 * z_rows", "columns": "4 * z_columns"}
    z_hat = Value(name="z_hat", shape=(1, config.hyper, "z_rows", "z_columns"), range=(-Z_LIMIT, Z_LIMIT))
    return Part(
        name=FAST,
        module=MeanFastPart(codec.network),
        inputs=(
            z_hat,
            latents(codec, "points", **fine),
            Value(name="kept", shape=(1, 1, *fine.values()), range=(0, 1)),
            QUALITY,
        ),
        outputs=(latents(codec, "y_hat", **fine),),
        sizes={"z_rows": 3, "z_columns": 5, "4 * z_rows": 12, "4 * z_columns": 20},
    )
