"""Container images and directories as streams of entries, and their safe unpacking.

`open_image` reads what ``docker save`` wrote, an OCI image layout or an OCI archive, and
`open_directory` a plain directory; both give a `RootFilesystem`. `unpack` writes entries below
a directory and nowhere else. No engine, no network and no privileges are needed.
"""

from nitrosim.images.config import ImageConfig
from nitrosim.images.directory import open_directory
from nitrosim.images.errors import ImageCode, ImageError
from nitrosim.images.root import RootFilesystem
from nitrosim.images.source import open_image
from nitrosim.images.unpack import Unpacked, unpack

__all__ = [
    "ImageCode",
    "ImageConfig",
    "ImageError",
    "RootFilesystem",
    "Unpacked",
    "open_directory",
    "open_image",
    "unpack",
]
