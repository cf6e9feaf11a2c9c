"""A CRDT collaborative document server for Django."""

from . import wire

__version__ = "0.1.0"
#: Whether the modules of the hot path are compiled, as in wheels for one platform.
__compiled__ = not str(wire.__file__).endswith(".py")
