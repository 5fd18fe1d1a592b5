"""Images come as docker save wrote them, as OCI layouts and as OCI archives."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import shutil
import subprocess
import tarfile

import pytest

from nitrosim.eif.cpio import Kind
from nitrosim.eif.cpio_codecs import UnavailableError, decoder_for
from nitrosim.images import ImageError, open_image
from nitrosim.images.errors import ImageCode

HELLO = [("hello", b"#!/bin/sh\n" * 1000, {"mode": 0o755}), ("etc/passwd", b"root")]
MORE = [("hello", b"new"), ("etc/.wh.passwd", b""), ("copy", "link", "hello")]
EXPECTED = {"copy": b"new", "etc/": Kind.DIRECTORY, "hello": (Kind.HARD_LINK, b"copy")}


@pytest.fixture
def layers(make_layer):
    return [make_layer(*HELLO), make_layer(*MORE)]


def docker_archive(path, images, files, *, mode="w"):
    """Write what docker save wrote before it knew OCI: manifest.json and files by their names."""
    with tarfile.open(path, mode) as tar:
        for name, data in {**files, "manifest.json": json.dumps(images).encode()}.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def saved(tmp_path, layers, config_of, digest):
    config = config_of(layers)
    name = f"{digest(config)[7:]}.json"
    files = {name: config, "1/layer.tar": layers[0], "2/layer.tar": layers[1]}
    images = [{"Config": name, "RepoTags": ["hello:v1"], "Layers": ["1/layer.tar", "2/layer.tar"]}]
    return tmp_path / "saved.tar", images, files


def refusal(path, **options):
    with pytest.raises(ImageError) as caught:
        open_image(path, **options)
    return caught.value.code


def test_a_layout_is_opened(layout, layers, contents, digest, config_of):
    path = layout.index(layout.image(layers))

    with open_image(path) as image:
        assert EXPECTED == contents(image)
        assert digest(config_of(layers)) == image.config.id
        assert ("/hello",) == image.config.command()
        assert ("PATH=/bin",) == image.config.env
        assert "amd64" == image.config.architecture


def test_an_archive_of_a_layout_is_opened(layout, layers, contents, tmp_path):
    layout.index(layout.image(layers))

    with open_image(layout.archive(tmp_path / "image.tar")) as image:
        assert EXPECTED == contents(image)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_the_output_of_docker_save_is_opened(mode, saved, contents):
    with open_image(docker_archive(*saved, mode=mode)) as image:
        assert EXPECTED == contents(image)
        assert ("hello:v1",) == image.names
        assert image.digest is None


def test_new_versions_of_docker_save_write_both_descriptions(layout, layers, tmp_path):
    described = layout.image(layers, compress=bytes)
    manifest = json.loads(layout.path(described["digest"]).read_bytes())
    names = [f"blobs/{one['digest'].replace(':', '/')}" for one in manifest["layers"]]
    config = f"blobs/{manifest['config']['digest'].replace(':', '/')}"
    layout.index({**described, "annotations": {"io.containerd.image.name": "docker.io/hello:v1"}})
    (layout.root / "manifest.json").write_text(
        json.dumps([{"Config": config, "RepoTags": ["hello:v1"], "Layers": names}])
    )

    with open_image(layout.archive(tmp_path / "image.tar"), reference="hello:v1") as image:
        assert ("hello:v1", "docker.io/hello:v1") == image.names
        assert described["digest"] == image.digest
        assert [f"hello@{image.digest}", f"docker.io/hello@{image.digest}"] == image.inspect()[
            "RepoDigests"
        ]


@pytest.mark.parametrize(
    "compress",
    [
        bytes,
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
        lambda data: gzip.compress(data) + bytes(1000),
    ],
    ids=["plain", "gzip", "bzip2", "xz", "two streams", "padded"],
)
def test_layers_may_be_compressed(compress, layout, layers, contents):
    with open_image(layout.index(layout.image(layers, compress=compress))) as image:
        assert EXPECTED == contents(image)
        assert EXPECTED == contents(image)


def _zstd_readable():
    try:
        decoder_for("zstd")
    except UnavailableError:
        return False
    return True


@pytest.mark.needs("zstd")
def test_zstd_is_read_or_the_error_says_what_is_missing(layout, layers, contents):
    def compress(data):
        done = subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True)
        return done.stdout

    path = layout.index(layout.image(layers, compress=compress))
    if _zstd_readable():
        with open_image(path) as image:
            assert EXPECTED == contents(image)
    else:
        with pytest.raises(ImageError, match="pip install zstandard") as caught:
            open_image(path)
        assert "LAYER_COMPRESSION" == caught.value.code


def test_contents_can_be_read_in_any_order(layout, make_layer):
    files = [(f"f{n}", b"%d" % n * 200_000) for n in range(3)]
    with open_image(layout.index(layout.image([make_layer(*files)]))) as image:
        streams = [entry.content.chunks() for entry in image.entries()]
        read = [b"", b"", b""]
        while any(pieces := [next(stream, b"") for stream in streams]):
            read = [one + piece for one, piece in zip(read, pieces, strict=True)]

        assert [data for _, data in files] == read


def test_temporary_files_go_where_they_are_told_to_and_have_no_names(layout, layers, tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    with open_image(layout.index(layout.image(layers)), spool=spool):
        assert [] == list(spool.iterdir())


@pytest.mark.parametrize("asked", ["amd64", "x86_64", "arm64", "aarch64"])
def test_the_architecture_chooses_among_platforms(asked, layout, layers):
    one = layout.image(layers, architecture="amd64", Cmd=["amd64"])
    other = layout.image(layers, architecture="arm64", Cmd=["arm64"])
    attestation = layout.image(layers, architecture="unknown")
    foreign = layout.image(layers, Cmd=["windows"])
    inner = layout.nested(
        {**one, "platform": {"architecture": "amd64", "os": "linux"}},
        {**other, "platform": {"architecture": "arm64", "os": "linux"}},
        {**attestation, "platform": {"architecture": "unknown", "os": "unknown"}},
        {**foreign, "platform": {"architecture": "amd64", "os": "windows"}},
    )
    flat = json.loads(layout.path(inner["digest"]).read_bytes())["manifests"]
    expected = {"x86_64": "amd64", "aarch64": "arm64"}.get(asked, asked)
    for descriptors in ([inner], flat):
        with open_image(layout.index(*descriptors), architecture=asked) as image:
            assert (expected,) == image.config.command()
            assert expected == image.config.architecture


def test_platforms_whose_blobs_are_not_there_are_no_choices(layout, layers):
    one = layout.image(layers)
    absent = {**layout.image(layers, architecture="arm64"), "platform": {"architecture": "arm64"}}
    layout.path(absent["digest"]).unlink()
    path = layout.index(one, absent)

    with open_image(path) as image:
        assert "amd64" == image.config.architecture
    assert "IMAGE_BLOB" == refusal(path, architecture="arm64")


def test_an_absent_architecture_is_an_error_that_names_the_others(layout, layers):
    path = layout.index(layout.image(layers))

    with pytest.raises(ImageError, match=r"got \['amd64'\], expected arm64") as caught:
        open_image(path, architecture="aarch64")
    assert "IMAGE_PLATFORM" == caught.value.code


def test_several_images_need_a_choice(layout, layers):
    one, two = layout.image(layers, Cmd=["1"]), layout.image(layers, Cmd=["2"])
    named = [
        {**image, "annotations": {"org.opencontainers.image.ref.name": name}}
        for image, name in ((one, "one:latest"), (two, "two:v2"))
    ]
    path = layout.index(*named)

    assert "IMAGE_AMBIGUOUS" == refusal(path)
    assert "IMAGE_REFERENCE" == refusal(path, reference="three")
    with open_image(path, reference="one") as image:
        assert ("1",) == image.config.command()
    with open_image(path, reference="docker.io/library/two:v2") as image:
        assert ("2",) == image.config.command()


def test_one_image_under_two_names_is_one_image(layout, layers):
    image = layout.image(layers)
    path = layout.index(image, image)

    with open_image(path) as opened:
        assert ("/hello",) == opened.config.command()


@pytest.mark.parametrize("what", ["manifest", "config", "layer"])
@pytest.mark.parametrize("damage", ["changed", "longer", "missing"])
def test_a_blob_that_is_not_what_its_digest_says_is_refused(what, damage, layout, layers):
    described = layout.image(layers)
    manifest = json.loads(layout.path(described["digest"]).read_bytes())
    digests = {
        "manifest": described["digest"],
        "config": manifest["config"]["digest"],
        "layer": manifest["layers"][1]["digest"],
    }
    path = layout.path(digests[what])
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(data + b" " if damage == "longer" else data[:-1] + b"?")

    code = refusal(layout.index(described))
    if damage != "missing":
        assert "IMAGE_DIGEST" == code
    else:
        assert {"layer": "IMAGE_BLOB"}.get(what, "IMAGE_PLATFORM") == code


def test_the_archive_in_a_layer_is_verified_too(layout, layers):
    path = layout.index(layout.image(layers, rootfs={}))
    described = json.loads((path / "index.json").read_text())["manifests"][0]
    manifest = json.loads(layout.path(described["digest"]).read_bytes())
    other = layout.blob(gzip.compress(bytes(1024)), "application/vnd.oci.image.layer.v1.tar+gzip")
    manifest["layers"][0] = other
    changed = layout.blob(json.dumps(manifest).encode(), described["mediaType"])

    assert "IMAGE_DIGEST" == refusal(layout.index(changed))


def test_docker_archives_are_verified(saved, make_layer):
    path, images, files = saved
    (config,) = (name for name in files if name.endswith(".json"))

    changed = {**files, config: files[config].replace(b"/hello", b"/other")}
    assert "IMAGE_DIGEST" == refusal(docker_archive(path, images, changed))
    swapped = {**files, "2/layer.tar": make_layer(("x", b""))}
    assert "IMAGE_DIGEST" == refusal(docker_archive(path, images, swapped))
    missing = {name: data for name, data in files.items() if name != "2/layer.tar"}
    assert "IMAGE_BLOB" == refusal(docker_archive(path, images, missing))
    images[0]["Layers"].pop()
    assert "IMAGE_JSON" == refusal(docker_archive(path, images, files))


def test_a_layer_may_be_a_link_to_another_in_the_archive(
    saved, layers, config_of, digest, contents
):
    path, _, _ = saved
    config = config_of([layers[0], layers[0]])
    images = [{"Config": "config.json", "RepoTags": None, "Layers": ["1/l.tar", "2/l.tar"]}]
    files = {"config.json": config, "1/l.tar": layers[0], "2/l.tar": "../1/l.tar"}

    with open_image(docker_archive(path, images, files)) as image:
        assert {"hello", "etc/", "etc/passwd"} == set(contents(image))
        assert digest(config) == image.config.id


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../etc/passwd", "../../../../../../etc/passwd", "2/l.tar"]
)
def test_no_link_leads_out_of_an_archive(target, saved, layers, config_of):
    path, _, _ = saved
    images = [{"Config": "config.json", "Layers": ["2/l.tar"]}]
    files = {"config.json": config_of(layers[:1]), "2/l.tar": target}

    assert "IMAGE_BLOB" == refusal(docker_archive(path, images, files))


def test_no_name_in_a_manifest_leads_out_of_a_directory(layout, config_of, tmp_path):
    (tmp_path / "secret").write_bytes(config_of([]))
    (layout.root / "manifest.json").write_text(json.dumps([{"Config": "../secret", "Layers": []}]))

    assert "IMAGE_PLATFORM" == refusal(layout.root)


@pytest.mark.parametrize(
    "digest",
    ["sha256:../../../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "0" * 32, "", None, 7],
)
def test_a_digest_is_a_digest_and_not_a_path(digest, layout, layers):
    assert "IMAGE_DIGEST" == refusal(layout.index({**layout.image(layers), "digest": digest}))


@pytest.mark.parametrize(
    ("file", "text", "code"),
    [
        ("index.json", "no JSON", "IMAGE_JSON"),
        ("index.json", "[]", "IMAGE_JSON"),
        ("index.json", '{"manifests": {}}', "IMAGE_JSON"),
        ("index.json", '{"manifests": [1]}', "IMAGE_JSON"),
        ("index.json", '{"manifests": [{"platform": 1}]}', "IMAGE_JSON"),
        ("index.json", '{"manifests": []}', "IMAGE_PLATFORM"),
        ("index.json", "[" * 100_000, "IMAGE_JSON"),
        ("index.json", " " * (5 << 20), "IMAGE_LIMIT"),
        ("manifest.json", "{}", "IMAGE_JSON"),
        ("manifest.json", '[{"Config": 1}]', "IMAGE_JSON"),
        ("manifest.json", '[{"Config": "a", "Layers": [1]}]', "IMAGE_JSON"),
        ("manifest.json", "[]", "IMAGE_PLATFORM"),
    ],
)
def test_damaged_descriptions_are_refused(file, text, code, tmp_path):
    (tmp_path / file).write_text(text)

    assert code == refusal(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"Cmd": "hello"},
        {"Cmd": [1]},
        {"Entrypoint": {}},
        {"Env": "A=1"},
        {"User": 0},
        {"WorkingDir": []},
    ],
)
def test_a_damaged_configuration_is_refused(change, layout, layers):
    assert "IMAGE_JSON" == refusal(layout.index(layout.image(layers, **change)))


def test_an_index_has_an_end(layout, layers):
    assert "IMAGE_LIMIT" == refusal(layout.index(*[layout.image(layers)] * 1025))


def test_a_manifest_without_a_configuration_is_refused(layout):
    described = layout.blob(b"{}", "application/vnd.oci.image.manifest.v1+json")

    assert "IMAGE_JSON" == refusal(layout.index(described))


def test_links_in_an_archive_do_not_lead_in_a_circle(saved, layers, config_of):
    path, _, _ = saved
    images = [{"Config": "config.json", "Layers": ["1/l.tar"]}]
    files = {"config.json": config_of(layers[:1]), "1/l.tar": "../2/l.tar", "2/l.tar": "../1/l.tar"}

    assert "IMAGE_BLOB" == refusal(docker_archive(path, images, files))


def test_indexes_do_not_nest_for_ever(layout, layers):
    inner = layout.image(layers)
    for _ in range(6):
        inner = layout.nested(inner)

    assert "IMAGE_LIMIT" == refusal(layout.index(inner))


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/vnd.cncf.helm.chart.content.v1",
        None,
    ],
)
def test_layers_that_are_none_are_refused(kind, layout, layers):
    described = layout.image(layers)
    manifest = json.loads(layout.path(described["digest"]).read_bytes())
    manifest["layers"][0]["mediaType"] = kind
    changed = layout.blob(json.dumps(manifest).encode(), described["mediaType"])

    assert "LAYER_MEDIA_TYPE" == refusal(layout.index(changed))


def test_a_compressed_layer_that_ends_early_is_refused(layout, layers):
    def cut(data):
        return gzip.compress(data)[:-20]

    def damaged(data):
        packed = bytearray(gzip.compress(data))
        packed[30] ^= 0xFF
        return bytes(packed)

    assert "LAYER_DAMAGED" == refusal(layout.index(layout.image(layers, compress=cut)))
    assert "LAYER_DAMAGED" == refusal(layout.index(layout.image(layers, compress=damaged)))


def test_what_is_no_image_is_refused(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    text = tmp_path / "text"
    text.write_bytes(b"x" * 2000)

    assert "IMAGE_FORMAT" == refusal(empty)
    assert "TAR_HEADER" == refusal(text)
    assert "IMAGE_NOT_FOUND" == refusal(tmp_path / "missing")
    assert "IMAGE_FORMAT" == refusal(docker_archive(tmp_path / "t", [], {}).parent / "empty")


def test_nothing_stays_open_after_an_error_or_the_end(layout, layers):
    with open_image(layout.index(layout.image(layers))) as image:
        entries = [entry for entry in image.entries() if entry.kind is Kind.FILE]
    with pytest.raises(ValueError, match="closed"):
        next(entries[0].content.chunks())


def test_inspection_says_what_docker_says(layout, layers, digest, config_of):
    with open_image(layout.index(layout.image(layers))) as image:
        found = image.inspect()

    assert digest(config_of(layers)) == found["Id"]
    assert ["/hello"] == found["Config"]["Cmd"]
    assert [digest(layer) for layer in layers] == found["RootFS"]["Layers"]
    assert ("amd64", "linux") == (found["Architecture"], found["Os"])
    assert 10_004 + 3 == found["Size"]


def test_errors_survive_pickling():
    error = ImageCode.IMAGE_DIGEST("a digest", got=b"\xff\n", expected="other")
    again = pickle.loads(pickle.dumps(error))

    assert (error.code, str(error)) == (again.code, str(again))
    assert str(error) == r"a digest, got \\xff\n, expected other"


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
def test_images_that_skopeo_writes_are_read(kind, layout, layers, contents, tmp_path):
    layout.index(
        {
            **layout.image(layers),
            "annotations": {"org.opencontainers.image.ref.name": "latest"},
        }
    )
    target = tmp_path / "copied"
    tag = "hello:v1" if kind == "docker-archive" else "v1"
    subprocess.run(
        [
            "skopeo",
            "--insecure-policy",
            "copy",
            f"oci:{layout.root}:latest",
            f"{kind}:{target}:{tag}",
        ],
        check=True,
        capture_output=True,
    )
    with open_image(layout.root) as ours, open_image(target) as theirs:
        assert EXPECTED == contents(theirs)
        assert list(ours.entries()) == list(theirs.entries())
        assert ours.config.command() == theirs.config.command()


@pytest.mark.needs("skopeo")
@pytest.mark.skipif(not _zstd_readable(), reason="needs Python 3.14 or the package zstandard")
def test_layers_that_skopeo_compresses_with_zstd_are_read(layout, layers, contents, tmp_path):
    name = {"org.opencontainers.image.ref.name": "latest"}
    layout.index({**layout.image(layers, compress=bytes), "annotations": name})
    target = tmp_path / "copied"
    command = ["skopeo", "--insecure-policy", "copy", "--dest-compress-format", "zstd"]
    subprocess.run(
        [*command, f"oci:{layout.root}:latest", f"oci:{target}:latest"],
        check=True,
        capture_output=True,
    )
    stored = (target / "blobs" / "sha256").iterdir()
    assert any(path.read_bytes().startswith(b"\x28\xb5\x2f\xfd") for path in stored)

    with open_image(target) as image:
        assert EXPECTED == contents(image)


@pytest.mark.needs("umoci", "root")
def test_umoci_unpacks_to_the_same_tree(layout, make_layer, tmp_path):
    layers = [
        make_layer(
            ("bin",),
            ("bin/a", b"1" * 5000, {"mode": 0o755}), ("bin/b", "link", "bin/a", {"mode": 0o755}),
            ("etc",), ("etc/x", b"x", {"uid": 1000, "gid": 7}), ("etc/y/z", b"z"),
            ("lib", "symlink", "usr/lib"), ("gone/deep/er", b""), ("opaque",), ("opaque/old", b""),
        ),
        make_layer(
            ("bin",), ("bin/a", b"2", {"mtime": 99}), (".wh.gone", b""), ("etc/y/.wh.z", b""),
            ("opaque",), ("opaque/.wh..wh..opq", b""), ("opaque/new", b"n"), ("pipe", "fifo"),
            ("etc/x", "symlink", "/etc/y"),
        ),
    ]  # fmt: skip
    layout.index(
        {
            **layout.image(layers),
            "annotations": {"org.opencontainers.image.ref.name": "latest"},
        }
    )
    bundle = tmp_path / "bundle"
    subprocess.run(
        ["umoci", "unpack", "--image", f"{layout.root}:latest", bundle],
        check=True,
        capture_output=True,
    )
    theirs = {}
    for path in (bundle / "rootfs").rglob("*"):
        status = path.lstat()
        what = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        theirs[str(path.relative_to(bundle / "rootfs"))] = (
            status.st_mode & 0o7777,
            status.st_uid,
            what,
        )
    with open_image(layout.root) as image:
        ours = {}
        for entry in image.entries():
            mode = 0o777 if entry.kind is Kind.SYMLINK else entry.mode
            data = b"".join(entry.content.chunks())
            ours[entry.name.decode().rstrip("/")] = (mode, entry.uid, data)
    shutil.rmtree(bundle)

    assert theirs == ours
