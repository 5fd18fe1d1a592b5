"""What a dataclass would do for the values of nitro-cli; see the package for why there is none."""

from __future__ import annotations


class Record:
    """A value: equal to others of its class with equal attributes, and printed with them.

    Its attributes are those in ``__slots__`` of its class.
    """

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__slots__))

    def __repr__(self) -> str:
        attributes = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({attributes})"
