"""A service: POST a photo, get its .semc file with labels inside.

    pip install 'semcomp[scale]' fastapi uvicorn
    uvicorn app:app --app-dir examples/service --port 8000
    curl -T photo.jpg 'localhost:8000/photos?quality=40' -X POST -o photo.semc -D -

Memory is bounded: a request is refused before its body is read if the body or the queue is too long, a picture with too
many pixels is refused before it is decoded, and WORKERS networks run at a time.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import torch
from fastapi import FastAPI, HTTPException, Query, Request, Response

import semcomp
from semcomp.imaging.picture import open_picture
from semcomp.semantics.stored import from_heads, read_semantics


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the service accepts. Each comes from the environment, as SEMCOMP_MAX_BYTES and so on."""

    max_bytes: int = 20_000_000
    """Bytes of a photo."""
    max_pixels: int = 50_000_000
    """Width x height of a photo."""
    workers: int = 2
    """Photos that are encoded at a time. Each takes a thread and the memory of one picture."""
    waiting: int = 16
    """Requests that may wait for a worker. Further ones are sent away."""

    @classmethod
    def from_environment(cls) -> Limits:
        """Read the limits that the environment names."""
        names = cls.__dataclass_fields__
        given = {name: os.environ.get(f"SEMCOMP_{name.upper()}") for name in names}
        return cls(**{name: int(value) for name, value in given.items() if value is not None})


class Encoder:
    """The codec with a head, and the threads that run them."""

    def __init__(self, limits: Limits, *, head: str = "imagenette"):
        torch.set_num_threads(1)  # a thread for each request is faster under load than many for one
        self.limits, self.codec, self.head = limits, semcomp.load(), semcomp.load_head(head)
        self.pool = ThreadPoolExecutor(limits.workers)
        self.running = 0

    def encode(self, data: bytes, quality: int) -> bytes:
        """Encode a photo with the labels of the head."""
        picture = open_picture(data, convert=True, max_pixels=self.limits.max_pixels)
        return self.codec.encode(picture, quality=quality, semantics=from_heads([self.head]))

    async def submit(self, data: bytes, quality: int) -> bytes:
        """Encode in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, self.encode, data, quality)


def create_app(limits: Limits | None = None) -> FastAPI:
    """Build the service."""
    limits = limits or Limits.from_environment()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.encoder = Encoder(limits)
        yield
        app.state.encoder.pool.shutdown(cancel_futures=True)

    app = FastAPI(title="semcomp", lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        encoder: Encoder = app.state.encoder
        return {"model": encoder.codec.name, "head": encoder.head.name, "requests": encoder.running}

    @app.post("/photos")
    async def photos(request: Request, quality: int = Query(50, ge=1, le=100)) -> Response:
        encoder: Encoder = app.state.encoder
        if encoder.running >= limits.workers + limits.waiting:
            raise HTTPException(503, "too many photos are waiting: try again", headers={"Retry-After": "2"})
        encoder.running += 1  # before the first await, so that bodies in memory are counted too
        try:
            data = await body_of(request, limits.max_bytes)
            file = await encoder.submit(data, quality)
        except semcomp.SemcompError as error:
            raise HTTPException(422, str(error)) from error
        finally:
            encoder.running -= 1
        labels, _ = read_semantics(file)
        found = [] if labels is None else list(zip(labels.names, labels.scores, strict=True))
        told = json.dumps([{"name": name, "score": round(score, 4)} for name, score in found])  # ASCII, as headers are
        return Response(file, media_type="application/x-semc", headers={"X-Semcomp-Labels": told})

    return app


async def body_of(request: Request, max_bytes: int) -> bytes:
    """Read the body. HTTPException 413 as soon as it is known to be too long, whatever its header says."""
    too_long = HTTPException(413, f"a photo has at most {max_bytes:,} bytes")
    if int(request.headers.get("content-length") or 0) > max_bytes:
        raise too_long
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > max_bytes:
            raise too_long
    return bytes(data)


app = create_app()
