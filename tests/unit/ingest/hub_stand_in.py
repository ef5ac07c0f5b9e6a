"""A hub on the loopback interface that speaks enough of the real one's protocol for the real client."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

SHA = "c0ffee" + "0" * 34
_INFO = re.compile(r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>.+))?")
_TREE = re.compile(r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)/?(?P<path>.*)")
_PATHS = re.compile(r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)/paths-info/(?P<revision>[^/]+)")
_FILE = re.compile(r"/(?P<datasets>datasets/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")


class HubStandIn:
    """Serves repositories from memory; context manager."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        """Files by repository, e.g. {"me/tiny": {"config.json": b"…"}}; both models and datasets."""
        self.token = ""
        """If set, everything is private to who has it."""
        self.status = 0
        """If set, every answer has it: a hub in trouble."""
        self.cut_after = 0
        """If set, the next file's transfer breaks after so many bytes."""
        self.requests: list[tuple[str, str, str]] = []
        """Method, path and Range of every request."""
        hub = self

        class Handler(_Handler):
            stand_in = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: HubStandIn

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keeps the tests' output clean."""

    def _answer(self) -> None:
        hub, path = self.stand_in, unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub.requests.append((self.command, path, self.headers.get("Range") or ""))
        match = next((found for form in (_PATHS, _TREE, _FILE, _INFO) if (found := form.fullmatch(path))), None)
        if hub.status:
            self._send(hub.status, b"{}")
        elif hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._send(401, b"{}", {"X-Error-Code": "GatedRepo"})
        elif match is None or match["repo"] not in hub.repositories:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif match.groupdict().get("revision") not in (None, "main", SHA):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            self._found(match, hub.repositories[match["repo"]], body)

    def _found(self, match: re.Match[str], files: dict[str, bytes], body: bytes) -> None:
        if match.re is _FILE:
            self._file(files, match["path"])
        elif match.re is _INFO:
            siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
            self._json({"id": match["repo"], "sha": SHA, "siblings": siblings, "private": False, "tags": []})
        elif match.re is _TREE:
            self._json(_listed(files, match["path"], recursive="recursive=true" in self.path.lower()))
        else:
            wanted = json.loads(body)["paths"]
            self._json([entry for entry in _listed(files, "", recursive=True) if entry["path"] in wanted])

    def _file(self, files: dict[str, bytes], name: str) -> None:
        if name not in files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        content = files[name]
        headers = {"ETag": f'"{_digest(content)}"', "X-Repo-Commit": SHA, "Accept-Ranges": "bytes"}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if span:
            end = int(span[2]) + 1 if span[2] else len(content)
            headers["Content-Range"] = f"bytes {span[1]}-{min(end, len(content)) - 1}/{len(content)}"
            self._send(206, content[int(span[1]) : end], headers)
        else:
            self._send(200, content, headers)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut, hub = self.stand_in.cut_after, self.stand_in
        if cut and len(content) > cut:
            hub.cut_after, hub.status = 0, 503
            self.wfile.write(content[:cut])
            self.close_connection = True
        else:
            self.wfile.write(content)


def _listed(files: dict[str, bytes], folder: str, *, recursive: bool) -> list[dict[str, object]]:
    prefix = f"{folder}/" if folder else ""
    entries: dict[str, dict[str, object]] = {}
    for name, content in files.items():
        for parent in PurePosixPath(name).parents[:-1]:
            entries[str(parent)] = {"type": "directory", "path": str(parent), "size": 0, "oid": _digest(b"")}
        entries[name] = {"type": "file", "path": name, "size": len(content), "oid": _digest(content)}
    below = [path for path in entries if path.startswith(prefix)]
    return [entries[path] for path in below if recursive or "/" not in path[len(prefix) :]]


def _digest(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
