"""A hub on this machine: it answers what huggingface_hub asks to create a repository, to commit and to read."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub(ThreadingHTTPServer):
    """Repositories by name: for each, a list of (commit, files). The last one is the branch main."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, list[tuple[str, dict[str, bytes]]]] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def files(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and the files of a revision; None if it does not exist."""
        commits = self.repositories[repository]
        if revision == "main" and commits:
            return commits[-1]
        return next((entry for entry in commits if entry[0] == revision), None)


class Handler(BaseHTTPRequestHandler):
    """Answers the requests."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, value: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode(), Content_Type="application/json")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^?]+)", self.path)
        if match is None or match[1] not in self.server.repositories:
            return self.answer(404, b"", X_Error_Code="RepoNotFound")
        found = self.server.files(match[1], match[2])
        if found is None:
            return self.answer(404, b"", X_Error_Code="RevisionNotFound")
        commit, files = found
        if match[3] not in files:
            return self.answer(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
        data = files[match[3]]
        etag = hashlib.sha256(data).hexdigest()
        return self.answer(200, data, ETag=f'"{etag}"', X_Repo_Commit=commit, Accept_Ranges="bytes")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            value = json.loads(body)
            name = f"{value['organization']}/{value['name']}" if value.get("organization") else value["name"]
            self.server.repositories.setdefault(name, [])
            return self.answer_json({"url": f"{self.server.address}/{name}", "name": name, "id": name})
        if self.path == "/api/validate-yaml":
            return self.answer_json({"errors": [], "warnings": []})
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main(\?.*)?", self.path)
        if match is None:
            return self.answer_json({"error": f"unknown: {self.path}"}, 404)
        if match[2] == "preupload":
            names = [entry["path"] for entry in json.loads(body)["files"]]
            modes = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            return self.answer_json({"files": modes})
        return self._commit(match[1], [json.loads(line) for line in body.splitlines()])

    def _commit(self, repository: str, lines: list[dict[str, Any]]) -> None:
        commits = self.server.repositories[repository]
        files = dict(commits[-1][1]) if commits else {}
        for line in lines:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        commit = hashlib.sha1(repr((len(commits), sorted(files.items()))).encode()).hexdigest()
        commits.append((commit, files))
        url = f"{self.server.address}/{repository}/commit/{commit}"
        self.answer_json({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a hub while the block runs."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
