"""Settings of a project whose views read and change rows that are in documents."""

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.acceptance.row_views"
