"""What browsers are told, and may call, on the dashboard's websocket."""

from random import gauss
from typing import Any, TypedDict

from collab.live import LiveConsumer, SubscriptionMixin, action, consumer
from collab.live.permissions import IsAuthenticated

from .readings import GROUP, Reading, record


class DashboardConsumer(SubscriptionMixin, LiveConsumer):
    """Readings and alarms; and any object that ``subscriptions.py`` of an app lets people watch."""

    permission_classes = (IsAuthenticated,)

    class RuntimeState(TypedDict):
        """What each connection has of its own."""

        unread: int
        latest: str | None

    async def on_connected(self) -> None:
        """Begin with nothing to read, and hear what is published."""
        await self._set_notifications(0, None)
        await self.add_group(GROUP)

    @consumer("alarm")
    async def on_alarm(self, event: dict[str, Any]) -> None:
        """Count it, for this browser."""
        unread = self.runtime_state["unread"] + 1
        await self._set_notifications(unread, event["payload"]["text"])

    @action
    def measure(self) -> Reading:
        """Read the thermometer now."""
        return record(gauss(21, 2))

    @action
    async def mark_read(self) -> None:
        """Have no notifications any more."""
        await self._set_notifications(0, None)

    async def _set_notifications(self, unread: int, latest: str | None) -> None:
        await self.set_runtime_var("unread", unread)
        await self.set_runtime_var("latest", latest)
