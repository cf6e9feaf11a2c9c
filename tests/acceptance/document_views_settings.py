"""Settings of a project whose views read and write documents."""

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.acceptance.document_views"
