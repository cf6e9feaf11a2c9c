"""``manage.py collab_broadcast``: show a message to everybody who is connected."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from collab.live.events.events import broadcast_system_message


class Command(BaseCommand):
    help = "Show a message to everybody who is connected to a LiveConsumer."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="whom it is from")
        parser.add_argument("message", help="the text")
        parser.add_argument(
            "--maintenance", action="store_true", help="the service is going to be away"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        level = "maintenance" if options["maintenance"] else "system"
        broadcast_system_message(options["source"], options["message"], level=level)
