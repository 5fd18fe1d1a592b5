"""Build Enclave Image Files of container images and directories.

A build takes a root file system (`nitrosim.images`, or an image that an `Engine` has), the `Blobs`
that boot it, and `Labels` for its metadata, and writes what nitro-cli would write::

    with open_image(Path("hello.tar")) as root:
        blobs = find_blobs(DEFAULT_BLOBS, architecture_of(root.config))
        measured = build_eif("hello.eif", root=root, blobs=blobs, labels=labels)

Nothing here needs Linux or privileges; only an `Engine` needs one that runs, and the Python package
``docker``.
"""

from nitrosim.builder.assembly import Labels, architecture_of, build_eif
from nitrosim.builder.blobs import DEFAULT_BLOBS, Blobs, find_blobs
from nitrosim.builder.engine import Engine
from nitrosim.builder.errors import BuildCode, BuildError

__all__ = [
    "DEFAULT_BLOBS",
    "Blobs",
    "BuildCode",
    "BuildError",
    "Engine",
    "Labels",
    "architecture_of",
    "build_eif",
    "find_blobs",
]
