"""The tests of the storage contract, for every backend::

    import pytest
    from collab_storage.testing import StorageContract

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def storage(self):
            return MyStorage(...)

A storage that keeps versions also runs :class:`HistoryContract`.

The fixture gives each test an empty storage. ``pytest-asyncio`` is needed, in any mode. With
``pytest.register_assert_rewrite("collab_storage.testing")`` in a conftest, failures show values.
"""

from __future__ import annotations

from .compaction import CompactionContract
from .concurrency import ConcurrencyContract
from .history import HistoryContract
from .identity import IdentityContract
from .listing import ListingContract
from .names import NamesContract
from .verbs import VerbsContract

__all__ = ["HistoryContract", "StorageContract"]


class StorageContract(
    VerbsContract,
    IdentityContract,
    NamesContract,
    ListingContract,
    ConcurrencyContract,
    CompactionContract,
):
    """The promises of ``storage/README.md`` that can be observed from outside."""
