"""``manage.py collab_broadcast``: send a system message to all connections."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from collab.live.events.events import broadcast_system_message


class Command(BaseCommand):
    help = "Send a system message to all connections of LiveConsumers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="name of the sender")
        parser.add_argument("message", help="the text")
        parser.add_argument(
            "--maintenance", action="store_true", help="announce maintenance of the service"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        level = "maintenance" if options["maintenance"] else "system"
        broadcast_system_message(options["source"], options["message"], level=level)
