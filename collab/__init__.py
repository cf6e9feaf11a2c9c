"""A CRDT collaborative document server for Django."""

__version__ = "0.1.0"
