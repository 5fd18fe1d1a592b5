"""A Docker engine that has images in memory: what it is asked over HTTP it answers as the real one.

Only what a build needs is there: an image can be inspected, pulled, built and saved. Tests with the
real engine say that the answers are like its own.
"""

from __future__ import annotations

import hashlib
import io
import json
import socketserver
import tarfile
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Image:
    """An image: its archive as ``docker save`` writes it, and what ``inspect`` says."""

    archive: bytes
    inspected: dict


def make_image(reference="hello:latest", *, files=None, architecture="amd64", **config) -> Image:
    """Return an image of one layer; `files` are contents by name, `config` has Cmd, Env, ..."""
    layer = _tar({name: (data, 0o755) for name, data in (files or {"hello": b"program"}).items()})
    about = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/hello"], "Env": [PATH]} | config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    stored = json.dumps(about).encode()
    digest = hashlib.sha256(stored).hexdigest()
    manifest = [{"Config": f"{digest}.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    archive = _tar(
        {
            f"{digest}.json": (stored, 0o644),
            "layer.tar": (layer, 0o644),
            "manifest.json": (json.dumps(manifest).encode(), 0o644),
        }
    )
    inspected = {
        "Id": f"sha256:{digest}",
        "RepoTags": [reference],
        "Architecture": architecture,
        "Config": about["config"],
    }
    return Image(archive, inspected)


def _tar(files: dict) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, (data, mode) in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@dataclass
class Engine:
    """What the engine has and does; tests change it as they like.

    `images` are there already, `registry` can be pulled, `built` is what every build gives (None:
    builds fail). `requests` holds what it was asked, `credentials` what came with pulls, and
    `contexts` what came to be built. After `saved_bytes` bytes of an image it hangs up.
    """

    host: str
    images: dict[str, Image] = field(default_factory=dict)
    registry: dict[str, Image] = field(default_factory=dict)
    built: Image | None = None
    requests: list[str] = field(default_factory=list)
    credentials: list[str | None] = field(default_factory=list)
    contexts: list[list[str]] = field(default_factory=list)
    saved_bytes: int | None = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = self._noted()
        if path == "/version":
            self._json(200, {"Version": "0", "ApiVersion": "1.41", "MinAPIVersion": "1.12"})
            return
        name, _, what = path.removeprefix("/images/").rpartition("/")
        image = self.server.engine.images.get(name if ":" in name else f"{name}:latest")
        if image is None:
            self._json(404, {"message": f"No such image: {name}"})
        elif what == "json":
            self._json(200, image.inspected)
        else:
            end = self.server.engine.saved_bytes
            self._stream([image.archive[:end]], whole=end is None)

    def do_POST(self) -> None:
        path, engine = self._noted(), self.server.engine
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        body = self._body()
        if path == "/build":
            with tarfile.open(fileobj=io.BytesIO(body)) as tar:
                engine.contexts.append(sorted(tar.getnames()))
            if engine.built is None:
                self._events({"stream": "Step 1/1 : FROM nothing\n"}, {"error": "no such stage\n"})
                return
            engine.images[query["t"]] = engine.built
            self._events({"stream": "Step 1/1 : FROM scratch\n"}, {"stream": "\n"}, {"aux": {}})
            return
        name = f"{query['fromImage']}:{query['tag']}"
        engine.credentials.append(self.headers.get("X-Registry-Auth"))
        if name in engine.registry:
            engine.images[name] = engine.registry[name]
            self._events(
                {"status": f"Pulling from {name}"},
                {"status": "Pulling fs layer", "progressDetail": {}, "id": "0a1b"},
                {
                    "status": "Downloading",
                    "progressDetail": {"current": 1, "total": 2},
                    "id": "0a1b",
                },
                {"status": "Pull complete", "progressDetail": {}, "id": "0a1b"},
            )
        else:
            self._events({"status": "Pulling"}, {"error": "manifest unknown"})

    def _noted(self) -> str:
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/v1."):
            path = "/" + path.split("/", 2)[2]
        self.server.engine.requests.append(f"{self.command} {path}")
        return path

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _json(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _events(self, *events: dict) -> None:
        self._stream([json.dumps(event).encode() + b"\r\n" for event in events])

    def _stream(self, pieces: list[bytes], *, whole: bool = True) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if whole:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, engine: Engine) -> None:
        super().__init__(path, _Handler)
        self.engine = engine


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Start an engine; `host` is what ``DOCKER_HOST`` has to be."""
    # Short: an AF_UNIX address has little room.
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as folder:
        path = str(Path(folder, "docker.sock"))
        engine = Engine(f"unix://{path}")
        with _Server(path, engine) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield engine
            finally:
                server.shutdown()
                thread.join()
