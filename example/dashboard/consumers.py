"""The live channel of the dashboard."""

from random import gauss
from typing import Any, TypedDict

from collab.live import LiveConsumer, SubscriptionMixin, action, consumer
from collab.live.permissions import IsAuthenticated

from .readings import GROUP, Reading, record


class DashboardConsumer(SubscriptionMixin, LiveConsumer):
    """Readings, alarms, and subscriptions to models in ``subscriptions.py`` of the apps."""

    permission_classes = (IsAuthenticated,)

    class RuntimeState(TypedDict):
        """Variables of each connection."""

        unread: int
        latest: str | None

    async def on_connected(self) -> None:
        """Begin without notifications, and join the group of the dashboards."""
        await self._set_notifications(0, None)
        await self.add_group(GROUP)

    @consumer("alarm")
    async def on_alarm(self, event: dict[str, Any]) -> None:
        """Count the alarm for this browser."""
        unread = self.runtime_state["unread"] + 1
        await self._set_notifications(unread, event["payload"]["text"])

    @action
    def measure(self) -> Reading:
        """Read the thermometer now."""
        return record(gauss(21, 2))

    @action
    async def mark_read(self) -> None:
        """Mark all notifications as read."""
        await self._set_notifications(0, None)

    async def _set_notifications(self, unread: int, latest: str | None) -> None:
        await self.set_runtime_var("unread", unread)
        await self.set_runtime_var("latest", latest)
