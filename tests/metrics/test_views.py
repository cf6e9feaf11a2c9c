"""The views for a load balancer and for Prometheus."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import AsyncClient, Client, override_settings
from django.urls import reverse
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from collab import __compiled__
from collab.engine.runtime.counters import counters
from collab.engine.runtime.timers import LoopLag
from collab.metrics import health as health_module
from collab.metrics import snapshot
from collab.metrics.prometheus import CollabCollector
from collab_storage.base import DocumentId, LogEntry
from collab_storage.exceptions import StorageUnavailable
from collab_storage.memory import MemoryStorage
from tests.engine.watchers import ManualLoop, hub, join, typed
from tests.harness.waiting import DEADLINE, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make checks of health wait for a busy machine."""
    monkeypatch.setattr(health_module, "TIMEOUT", DEADLINE)


class HangingStorage(MemoryStorage):
    """Answers when it is let."""

    asked = 0
    let = asyncio.Event()

    async def exists(self, name: str) -> bool:
        type(self).asked += 1
        await type(self).let.wait()
        return await super().exists(name)


class FailingStorage(MemoryStorage):
    """Is away."""

    async def exists(self, name: str) -> bool:
        raise StorageUnavailable("host db.example is away")


class FullStorage(MemoryStorage):
    """Takes nothing while its disk is full."""

    full = True

    async def append(self, entries: Sequence[LogEntry]) -> dict[str, DocumentId]:
        if type(self).full:
            raise StorageUnavailable("full")
        return await super().append(entries)


class FailingLayer:
    """A channel layer that is away."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        raise ConnectionError("host redis.example is away")


class SilentLayer:
    """A channel layer that takes everything, for nobody."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        return None


def stored_in(storage: type[MemoryStorage], **collab: Any) -> dict[str, Any]:
    return {
        "DEFAULT_ACCESS": "write",
        "STORAGE": {"BACKEND": f"{__name__}.{storage.__name__}"},
        **collab,
    }


def layer(backend: type) -> dict[str, Any]:
    return {"default": {"BACKEND": f"{__name__}.{backend.__name__}"}}


async def health() -> tuple[int, dict[str, Any]]:
    response = await AsyncClient().get(reverse("collab:health"))
    return response.status_code, response.json()


async def failure(check: str) -> str:
    """Return what the health view has against ``check``, and nothing else is wrong."""
    status, answer = await health()
    checks = answer["checks"]
    assert (status, answer["status"]) == (503, "failing")
    assert [name for name, outcome in checks.items() if outcome != "ok"] == [check]
    outcome: str = checks[check]
    return outcome


# Health.


async def test_a_process_that_can_do_its_work_is_healthy() -> None:
    checks = {"storage": "ok", "backlog": "ok", "event_loop": "ok"}
    assert await health() == (200, {"status": "ok", "checks": checks, "compiled": __compiled__})


def test_health_is_answered_without_an_event_loop_of_the_servers(client: Client) -> None:
    assert client.get(reverse("collab:health")).status_code == 200


async def test_health_is_not_cached_on_the_way() -> None:
    response = await AsyncClient().get(reverse("collab:health"))
    assert "no-store" in response.headers["Cache-Control"]
    assert (await AsyncClient().post(reverse("collab:health"))).status_code == 405


async def test_a_failing_storage_is_reported_without_its_error_text() -> None:
    with override_settings(COLLAB=stored_in(FailingStorage)):
        assert await failure("storage") == "fails (StorageUnavailable)"


async def test_a_storage_that_hangs_is_asked_once_however_often_health_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health_module, "TIMEOUT", 0.05)
    HangingStorage.asked, HangingStorage.let = 0, asyncio.Event()
    with override_settings(COLLAB=stored_in(HangingStorage)):
        outcomes = await asyncio.gather(*(failure("storage") for _ in range(5)))
        assert outcomes == ["no answer within 0.05 s"] * 5
        assert await failure("storage") == "no answer within 0.05 s"
        assert HangingStorage.asked == 1
        HangingStorage.let.set()
        async with asyncio.timeout(DEADLINE):
            while (await health())[0] != 200:
                pass


async def test_a_channel_layer_to_other_processes_is_checked() -> None:
    with override_settings(CHANNEL_LAYERS=layer(SilentLayer)):
        status, answer = await health()
        assert status == 200
        assert answer["checks"]["channel_layer"] == "ok"
    with override_settings(CHANNEL_LAYERS=layer(FailingLayer)):
        assert await failure("channel_layer") == "fails (ConnectionError)"


async def test_a_process_that_shuts_down_is_not_ready_for_clients() -> None:
    async with hub() as here:
        await here.drain()
        status, answer = await health()
        assert (status, answer["status"]) == (503, "draining")
        assert snapshot()["collab_draining"] == 1


async def test_a_backlog_at_its_limit_is_not_healthy() -> None:
    with override_settings(COLLAB=stored_in(FullStorage, MAX_UNSAVED=1)):
        FullStorage.full = True
        async with hub(), join("room") as member:
            await member.send_to(bytes_data=typed("much"))
            await until(lambda: snapshot()["collab_unsaved_bytes"])
            assert "MAX_UNSAVED" in await failure("backlog")
            FullStorage.full = False
    assert (await health())[0] == 200


async def test_an_event_loop_that_is_late_is_not_healthy() -> None:
    async with hub() as here:
        clock = ManualLoop()
        here.loop_lag = LoopLag(clock)
        here.loop_lag.start()
        clock.pass_time(6)
        assert await failure("event_loop") == "5.0 s late"
        assert snapshot()["collab_event_loop_lag_seconds"] == 5
        clock.pass_time(1)
        assert (await health())[0] == 200


# Metrics.


async def scrape(**headers: str) -> tuple[str, dict[str, float]]:
    """Return the content type, and the numbers as a reader of the format sees them."""
    response = await AsyncClient().get(reverse("collab:metrics"), headers=headers)
    families = text_string_to_metric_families(response.content.decode())
    samples = [sample for family in families for sample in family.samples]
    return response.headers["Content-Type"], {sample.name: sample.value for sample in samples}


async def test_metrics_are_those_of_the_snapshot_and_of_the_process() -> None:
    async with hub() as here, join("room"):
        # The delay of the event loop would change in between.
        here.loop_lag.stop()
        content_type, numbers = await scrape()
        assert content_type.startswith("text/plain; version=")
        own = {name: value for name, value in numbers.items() if name.startswith("collab_")}
        flat = {name: value for name, value in snapshot().items() if "{" not in name}
        assert own.items() >= flat.items()
        assert own["collab_rooms"] == own["collab_members"] == 1
        assert numbers["process_resident_memory_bytes"] > 0


async def test_metrics_come_in_the_format_that_is_asked_for() -> None:
    content_type, _ = await scrape(accept="application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")


async def test_refusals_are_labelled_with_code_and_cause() -> None:
    counters.refuse(1013, "MAX_ROOMS")
    response = await AsyncClient().get(reverse("collab:metrics"))
    assert b'collab_refusals_total{cause="MAX_ROOMS",code="1013"}' in response.content


async def test_the_collector_can_be_part_of_a_projects_own_registry() -> None:
    registry = CollectorRegistry()
    registry.register(CollabCollector())
    assert registry.get_sample_value("collab_draining") == 0


async def test_the_metrics_view_names_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "collab.metrics.prometheus", None)
    with pytest.raises(ImproperlyConfigured, match=r"django-collab\[metrics\]"):
        await AsyncClient().get(reverse("collab:metrics"))
