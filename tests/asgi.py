"""ASGI application of the test project: what :mod:`tests.harness.app` serves."""

from tests.harness.app import application

__all__ = ["application"]
