"""Bodies of EMBEDDING chunks, good and damaged, and what a file says about one."""

from __future__ import annotations

import numpy as np
import pytest

import semcomp
from semcomp.bitstream.container import Chunk, ChunkKind, Container, read, write
from semcomp.codec.codec import Codec
from semcomp.errors import FormatError
from semcomp.semantics.embedding import MAX_VALUES, Embedding, pack_embedding, pooled, unpack_embedding
from semcomp.semantics.stored import Semantics, read_embedding
from semcomp.types import Latents


def test_an_embedding_comes_back() -> None:
    embedding = Embedding(vector=np.arange(-64, 64, dtype=np.int8), head="embed")
    again = unpack_embedding(pack_embedding(embedding))
    assert again.head == "embed" and np.array_equal(again.vector, embedding.vector)
    assert len(pack_embedding(embedding)) == 1 + 6 + 2 + 128


def test_pooled_latents_are_means_and_deviations() -> None:
    y_hat = np.array([[[[0, 8], [0, 8]], [[3, 3], [3, 3]]]], np.float32)
    latents = Latents(y_hat=y_hat, height=32, width=32, quality=50, entropy_id=bytes(8), model_id=bytes(8))
    assert pooled(latents).tolist() == [4, 3, 4, 0]


@pytest.mark.parametrize("length", [0, MAX_VALUES + 1])
def test_a_length_that_does_not_fit_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="1 to 4096 values"):
        pack_embedding(Embedding(vector=np.zeros(length, np.int8), head=""))


def test_every_damage_is_noticed() -> None:
    body = pack_embedding(Embedding(vector=np.arange(20, dtype=np.int8), head="a"))
    for wrong in (b"", b"\x02" + body[1:], body[:-1], body + b"\0", body[:1] + b"\x01\x07" + body[3:], b"\x01\x00\x00"):
        with pytest.raises(FormatError):
            unpack_embedding(wrong)


def test_a_file_holds_it_and_loses_it_alone(codec: Codec) -> None:
    embedding = Embedding.of(np.array([1.0, -2.0, 0.5]), head="mine")
    data = codec.encode(np.zeros((64, 64, 3), np.uint8), semantics=Semantics(embedding=embedding))
    again = read_embedding(read(data))
    assert again is not None and again.head == "mine" and again.vector.tolist() == [64, -127, 32]
    assert semcomp.info(data).embedding == "mine"
    container = read(data)
    chunks = [Chunk(c.kind, b"?" if c.kind == ChunkKind.EMBEDDING else c.data) for c in container.chunks]
    damaged = write(Container(container.header, tuple(chunks)))
    assert semcomp.info(damaged).embedding is None and "EMBEDDING" in semcomp.info(damaged).lost[0]
    assert np.array_equal(np.asarray(codec.decode(damaged)), np.asarray(codec.decode(data)))
