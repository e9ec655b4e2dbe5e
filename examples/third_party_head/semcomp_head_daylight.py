"""A whole head in thirty lines: bright or dark, from the latents alone. No pixel is decoded."""

import semcomp
from semcomp.semantics.head import Classifier, Labels


class Daylight(Classifier):
    """Reads the brightness of a picture off the part of the decoder that is linear in the latents."""

    name, classes = "daylight", ("bright", "dark")

    def __init__(self) -> None:
        codec = semcomp.load()
        # A head that has learned something names the codec that it learned from; this one fits any.
        self.entropy_id = codec.entropy_id
        linear = codec.network.synthesis.linear
        self.weight, self.bias = linear.weight.mean(0), float(linear.bias.mean())

    def answer(self, latents: semcomp.Latents) -> Labels:
        """Labels, from the mean of y_hat (1, M, h, w) over all positions."""
        brightness = float(self.weight @ latents.y_hat[0].mean((1, 2))) + self.bias  # 0 black, 1 white
        score = min(max(brightness, 0.0), 1.0)
        answers = sorted([(score, "bright"), (1 - score, "dark")], reverse=True)
        return Labels(
            names=tuple(name for _, name in answers), scores=tuple(score for score, _ in answers), head=self.name
        )
