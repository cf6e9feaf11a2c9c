"""Settings of a project with the mirrors of :mod:`tests.oracle.mirrors`."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.oracle"]
