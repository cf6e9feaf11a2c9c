from importlib import import_module

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application

# Sets Django up, which the import of consumers needs.
django_application = get_asgi_application()

websockets = import_module(f"board.{settings.SERVES}").websockets
application = ProtocolTypeRouter({"http": django_application, "websocket": URLRouter(websockets)})
