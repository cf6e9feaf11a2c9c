"""ASGI application: pages over HTTP, documents over websockets."""

import gc
import os

from collab.asgi import get_application
from meetings.frames import Frames

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = Frames(get_application("project.routing.websocket_urlpatterns"))

# Objects made until now stay: Python need not check them for garbage, which would take a while.
gc.collect()
gc.freeze()
