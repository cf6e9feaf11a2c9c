"""Failing assertions of the contract show their values, as those of test files do."""

import pytest

pytest.register_assert_rewrite("collab_storage.testing")
