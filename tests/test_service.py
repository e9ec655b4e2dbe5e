"""The example of a service: what it answers, what it refuses, and its memory under concurrent requests."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import runpy
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import semcomp

pytest.importorskip("fastapi", reason="needs fastapi")
uvicorn = pytest.importorskip("uvicorn", reason="needs uvicorn")

APP = Path(__file__).parents[1] / "examples" / "service" / "app.py"
LIMITS = {"max_bytes": 300_000, "max_pixels": 40_000, "workers": 2, "waiting": 3}


def png(width: int = 96, height: int = 64) -> bytes:
    rng, buffer = np.random.default_rng(0), io.BytesIO()
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def module() -> dict[str, Any]:
    return runpy.run_path(str(APP))


@pytest.fixture(scope="module")
def port(module: dict[str, Any]) -> Iterator[int]:
    """The service on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    app = module["create_app"](module["Limits"](**LIMITS))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=number, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield number
    server.should_exit = True
    thread.join()


def ask(port: int, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_a_photo_becomes_a_file_with_labels(port: int, codec: Any) -> None:
    status, headers, data = ask(port, "/photos?quality=40", png())
    assert status == 200 and headers["content-type"] == "application/x-semc"
    facts = semcomp.info(data)
    assert (facts.width, facts.height, facts.quality, facts.labels_source) == (96, 64, 40, "imagenette")
    told = json.loads(headers["x-semcomp-labels"])
    assert [label["name"] for label in told] == [label.name for label in facts.labels]
    assert codec.decode(data).size == (96, 64)
    assert json.loads(ask(port, "/health")[2]) == {"model": "base", "head": "imagenette", "requests": 0}


def test_what_is_too_large_or_no_photo_is_refused(port: int) -> None:
    assert ask(port, "/photos", b"x" * 300_001)[0] == 413
    assert ask(port, "/photos", iter([b"x" * 200_000] * 2))[0] == 413, "chunked, without a length"
    status, _, said = ask(port, "/photos", png(300, 200))
    assert status == 422 and b"60,000" in said
    assert ask(port, "/photos", b"hello")[0] == 422
    assert ask(port, "/photos?quality=101", png())[0] == 422
    assert json.loads(ask(port, "/health")[2])["requests"] == 0


def test_under_load_every_photo_is_answered_or_sent_away(port: int) -> None:
    with ThreadPoolExecutor(24) as clients:
        answers = list(clients.map(lambda _: ask(port, "/photos?quality=20", png()), range(48)))
    files = {data for status, _, data in answers if status == 200}
    refused = [headers for status, headers, _ in answers if status == 503]
    assert len(files) == 1, "every answer is the same file"
    assert len(refused) + sum(status == 200 for status, _, _ in answers) == 48 and refused
    assert all(headers["retry-after"] == "2" for headers in refused)
    assert json.loads(ask(port, "/health")[2])["requests"] == 0


def test_the_environment_sets_the_limits(module: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMCOMP_MAX_BYTES", "123")
    assert module["Limits"].from_environment().max_bytes == 123


def test_no_more_than_the_workers_run_at_a_time(module: dict[str, Any]) -> None:
    encoder = module["Encoder"](module["Limits"](workers=2))
    now, most, lock = 0, 0, threading.Lock()

    def slow(data: bytes, quality: int) -> bytes:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return data

    encoder.encode = slow

    async def all_at_once() -> list[bytes]:
        return list(await asyncio.gather(*(encoder.submit(bytes([number]), 50) for number in range(10))))

    assert asyncio.run(all_at_once()) == [bytes([number]) for number in range(10)] and most == 2
    encoder.pool.shutdown()
