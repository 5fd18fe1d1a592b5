"""A real engine, where there is one, exports the tree that we say it would.

Needs an engine that this user may talk to (DOCKER_HOST is heeded) and that keeps images with
overlay2. Nothing is pulled and nothing is started.
"""

import io
import os
import subprocess
import tarfile
import time
import uuid

import pytest

from nitrosim.eif.cpio import BytesContent, Entry, Kind, read_content
from nitrosim.eif.ramdisk import customer_ramdisk
from nitrosim.images import open_image

pytestmark = pytest.mark.needs("docker")

KINDS = {
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.REGTYPE: Kind.FILE,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
    tarfile.CHRTYPE: Kind.CHARACTER_DEVICE,
    tarfile.FIFOTYPE: Kind.FIFO,
}
OLD = {"mtime": 1_000_000_000}
# Everything has a time and every directory is written down: then nothing depends on the day.
LOWER = [
    ("bin", OLD),
    ("bin/a", b"1" * 5000, {"mode": 0o755, "mtime": 5.7}),
    ("bin/b", "link", "bin/a", {"mode": 0o755, "mtime": 5.7}),
    ("etc", {"mode": 0o700, **OLD}),
    ("etc/hosts", b"mine", {"uid": 5, **OLD}),
    ("etc/x", b"x", {"uid": 1000, "gid": 7, "mtime": -9}),
    ("etc/y", OLD),
    ("etc/y/z", b"z", OLD),
    ("lib", "symlink", "usr/lib", {"mode": 0o600, **OLD}),
    ("gone", OLD),
    ("gone/deep", b"", OLD),
    ("opaque", OLD),
    ("opaque/old", b"", OLD),
    *((name, OLD) for name in ("a.b", "a", "A", "Z", "0")),
    *((name, b"", OLD) for name in ("a-b", "a/z", "ab", "ä", "a/.z", "A/-")),
    ("dev", {"mode": 0o711, **OLD}),
    ("dev/shm", {"mode": 0o1777, **OLD}),
    ("suid", b"", {"mode": 0o6755, **OLD}),
    ("first", b"n", {"mode": 0o600, **OLD}),
    ("again", "link", "first", {"mode": 0o644, "uid": 3, "mtime": 77}),
    ("usr", OLD),
    ("usr/bin", OLD),
    ("ubin", "symlink", "usr/bin", OLD),
    ("ubin/through", b"r", OLD),
    ("link1", "symlink", "/nowhere", OLD),
    ("link2", "link", "link1", OLD),
]
UPPER = [
    ("bin", {"mtime": 200}),
    ("bin/a", b"2", {"mtime": 99}),
    (".wh.gone", b""),
    ("etc", OLD),
    ("etc/y", OLD),
    ("etc/y/.wh.z", b""),
    ("opaque", OLD),
    ("opaque/.wh..wh..opq", b""),
    ("opaque/new", b"n", OLD),
    ("pipe", "fifo", OLD),
    ("etc/x", "symlink", "/etc/y", OLD),
    ("ubin", OLD),
    ("ubin/own", b"s", OLD),
    ("null", "char", {"devmajor": 1, "devminor": 3, **OLD}),
]


def docker(*arguments, **options):
    done = subprocess.run(["docker", *arguments], capture_output=True, check=True, **options)
    return done.stdout


@pytest.fixture(scope="module")
def _engine():
    driver = docker("info", "--format", "{{.Driver}}").decode().strip()
    if driver != "overlay2":
        pytest.skip(f"needs an engine with overlay2, this one has {driver!r}")


@pytest.fixture
def tag(_engine):
    name = f"nitrosim-test:{uuid.uuid4().hex}"
    yield name
    subprocess.run(["docker", "image", "rm", "-f", name], capture_output=True, check=False)


def export(tag):
    """Return the entries of a container that is made of an image, as docker exports them."""
    container = docker("create", tag, "/never").decode().strip()
    try:
        data = docker("export", container)
    finally:
        docker("rm", container)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [
            Entry(
                name=os.fsencode(info.name) + (b"/" if info.isdir() else b""),
                kind=KINDS[info.type],
                mode=info.mode & 0o7777,
                uid=info.uid,
                gid=info.gid,
                mtime=int(info.mtime),
                device=(info.devmajor, info.devminor) if info.ischr() else (0, 0),
                target=os.fsencode(info.linkname),
                content=BytesContent(tar.extractfile(info).read() if info.isfile() else b""),
            )
            for info in tar
        ]


def ramdisk(entries):
    return b"".join(customer_ramdisk(entries, ["/hello"], ["A=1"]).chunks())


@pytest.fixture
def loaded(layout, make_layer, tag, tmp_path):
    """An image that the engine has loaded, and the archive it was loaded from."""
    name = {"io.containerd.image.name": tag}
    described = layout.image([make_layer(*LOWER), make_layer(*UPPER)], WorkingDir="/etc/y")
    layout.index({**described, "annotations": name})
    archive = tmp_path / "image.tar"
    subprocess.run(
        [
            "skopeo",
            "--insecure-policy",
            "copy",
            f"oci:{layout.root}",
            f"docker-archive:{archive}:{tag}",
        ],
        check=True,
        capture_output=True,
    )
    docker("load", "-i", str(archive))
    return archive


@pytest.mark.needs("skopeo")
def test_the_engine_exports_the_same_tree(loaded, tag):
    start = int(time.time()) - 60
    theirs = export(tag)
    with open_image(loaded) as image:
        ours = list(image.exported())
        contents = [read_content(entry) for entry in ours]
    # What the engine makes itself has the time of the day.
    times = [entry.mtime if entry.mtime < start else None for entry in theirs]

    assert [entry.name for entry in theirs] == [entry.name for entry in ours]
    assert [
        (e.kind, e.mode, e.uid, e.gid, e.device, e.target, t and e.mtime)
        for e, t in zip(theirs, times, strict=True)
    ] == [
        (e.kind, e.mode, e.uid, e.gid, e.device, e.target, t and e.mtime)
        for e, t in zip(ours, times, strict=True)
    ]
    assert [read_content(entry) for entry in theirs] == contents


@pytest.mark.needs("skopeo")
def test_the_ramdisk_of_an_export_is_the_same_bytes(loaded, tag):
    with open_image(loaded) as image:
        assert ramdisk(export(tag)) == ramdisk(image.exported())


@pytest.mark.needs("skopeo")
def test_what_the_engine_saves_is_the_same_image(loaded, tag, tmp_path):
    docker("save", "-o", str(tmp_path / "saved.tar"), tag)

    with open_image(loaded) as ours, open_image(tmp_path / "saved.tar") as theirs:
        assert list(ours.entries()) == list(theirs.entries())
        assert ours.config.id == theirs.config.id
        assert (tag,) == theirs.names


def test_an_image_that_the_engine_builds_is_read(tag, tmp_path):
    context = tmp_path / "context"
    (context / "app").mkdir(parents=True)
    (context / "app" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (context / "app" / "run.sh").chmod(0o755)
    (context / "Dockerfile").write_text(
        "FROM scratch\n"
        "COPY app/run.sh /usr/local/bin/run\n"
        "COPY --chown=1000:7 app /srv/app\n"
        "WORKDIR /work\n"
        'ENV GREETING="hello world"\n'
        'ENTRYPOINT ["/never"]\n'
        'CMD ["/usr/local/bin/run", "now"]\n'
    )
    docker("build", "-t", tag, str(context))
    docker("save", "-o", str(tmp_path / "saved.tar"), tag)

    with open_image(tmp_path / "saved.tar") as image:
        assert ("/usr/local/bin/run", "now") == image.config.command()
        assert "GREETING=hello world" in image.config.env
        assert (
            docker("image", "inspect", "--format", "{{.Id}}", tag).decode().strip()
            == (image.inspect()["Id"])
        )
        theirs = export(tag)
        assert [(e.name, e.mode, e.uid, e.gid) for e in theirs] == [
            (e.name, e.mode, e.uid, e.gid) for e in image.exported()
        ]
        assert ramdisk(theirs) == ramdisk(image.exported())
