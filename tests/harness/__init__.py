"""Fixtures for tests of the whole: real servers, services, and a client written apart from them."""
