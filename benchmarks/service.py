"""The example of a service under load: answers a second, what is sent away, and its memory as requests go on.

Clients post a photo again and again, more of them than the service takes at a time. Its memory is read from outside,
after a fifth of the requests and at the end.
"""

import argparse
import http.client
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.common import at_least, at_most
from semcomp.errors import MissingExtraError, SemcompError

STARTS_IN = 180.0
"""Seconds that the service may take to start."""


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def ask(port: int, body: bytes | None) -> int:
    """Post a photo, or ask for the health; returns the status, 0 where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    try:
        connection.request("GET" if body is None else "POST", "/health" if body is None else "/photos", body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except OSError:
        return 0
    finally:
        connection.close()


def measure(photo: bytes, options: argparse.Namespace) -> dict[str, Any]:
    """Start the service, load it, and stop it."""
    import psutil

    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", "examples/service", "--port", str(port)]
    server = subprocess.Popen([*command, "--log-level", "critical"], cwd=common.ROOT)
    try:
        began = time.monotonic()
        while ask(port, None) != 200:
            if server.poll() is not None or time.monotonic() - began > STARTS_IN:
                raise SemcompError("the service does not start: run uvicorn app:app --app-dir examples/service")
            time.sleep(0.2)
        process = psutil.Process(server.pid)
        loads = (max(1, options.requests // 5), options.requests - max(1, options.requests // 5))
        memory, statuses, began = [process.memory_info().rss], list[int](), time.monotonic()
        with ThreadPoolExecutor(options.clients) as clients:
            for count in loads:
                statuses += clients.map(lambda _: ask(port, photo), range(count))
                memory.append(process.memory_info().rss)
        seconds = time.monotonic() - began
        times = process.cpu_times()
    finally:
        server.terminate()
        server.wait()
    mib = [round(size / (1 << 20), 1) for size in memory]
    answered = statuses.count(200)
    return {
        "requests": len(statuses),
        "clients": options.clients,
        "answered": answered,
        "sent_away": statuses.count(503),
        "other": len(statuses) - answered - statuses.count(503),
        "answers_per_second": round(answered / seconds, 2),
        "cpu_ms_per_answer": round(1000 * (times.user + times.system) / max(1, answered), 1),
        "mib_idle": mib[0],
        "mib_after_a_fifth": mib[1],
        "mib_at_the_end": mib[2],
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; the exit status."""
    parser = common.make_parser("service", __doc__, "python -m benchmarks.service -o out/service.json")
    parser.add_argument("photo", type=Path, nargs="?", default=common.PHOTO, help="photo to post (examples/photo.png)")
    parser.add_argument("--requests", type=int, default=200, metavar="N", help="requests (200)")
    parser.add_argument("--clients", type=int, default=24, metavar="N", help="clients at a time (24)")
    options = parser.parse_args(arguments)
    try:
        import fastapi  # noqa: F401
        import psutil  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("The service", "dev") from error
    result = measure(options.photo.read_bytes(), options)
    checks = [
        at_most("answers other than a file and 503", result["other"], 0, ""),
        at_least("photos answered", result["answered"], 1, ""),
        at_most("growth of memory", result["mib_at_the_end"] - result["mib_after_a_fifth"], 64, " MiB"),
    ]
    table = "\n".join(f"{name.replace('_', ' '):<20} {value}" for name, value in result.items())
    return common.finish("service", options, result=result, checks=checks, table=table)


if __name__ == "__main__":
    sys.exit(common.guarded(main))
