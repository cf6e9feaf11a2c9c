"""A CRDT collaborative document server for Django."""

from importlib.machinery import PathFinder

__version__ = "0.1.0"
_spec = PathFinder.find_spec("collab.wire", __path__)
#: Whether the modules of the hot path are compiled, as in wheels for one platform.
__compiled__ = _spec is not None and not str(_spec.origin).endswith(".py")
