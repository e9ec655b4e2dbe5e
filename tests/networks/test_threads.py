"""Small pictures are computed on one thread, and the number of threads is as before afterwards."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from semcomp.codec.codec import Codec
from semcomp.errors import FormatError
from semcomp.networks.threads import SMALL, SMALL_ASLEEP, threads_for
from semcomp.types import Symbols


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def inside(positions: int) -> int:
    with threads_for(positions):
        return torch.get_num_threads()


@pytest.mark.usefixtures("two_threads")
def test_only_small_pictures_in_the_main_thread_get_one_thread() -> None:
    assert (inside(SMALL), torch.get_num_threads(), inside(SMALL + 1)) == (1, 2, 2)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside, 1).result() == 2
    with pytest.raises(ValueError), threads_for(1):
        raise ValueError
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_more_pictures_are_small_where_threads_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    assert (inside(SMALL + 1), inside(SMALL_ASLEEP), inside(SMALL_ASLEEP + 1)) == (1, 1, 2)


@pytest.mark.usefixtures("two_threads")
def test_a_codec_decodes_small_files_on_one_thread(
    codec: Codec, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    dequantize, synthesis = codec.coder.dequantize, codec._synthesis

    def noting(symbols: Symbols, **options: Any) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return dequantize(symbols, **options)

    monkeypatch.setattr(codec.coder, "dequantize", noting)
    hook = synthesis.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    small = codec.encode(photo, quality=50)
    large = codec.encode(np.tile(photo, (2, 2, 1)), quality=50)
    try:
        for data in (small, large):
            codec.decode(data)
            codec.latents(data)
        with pytest.raises(FormatError):
            codec.decode(small[:-9])
    finally:
        hook.remove()
    assert seen == [1, 1, 1, 2, 2, 2] and torch.get_num_threads() == 2
