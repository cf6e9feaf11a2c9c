"""Clients learn when what they have changed in the rows of a state is saved, or set back."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from collab.live import LiveConsumer
from tests.live.talking import talking
from tests.projects.consumers import ProjectLive
from tests.projects.models import Project, Task

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("memory")]


async def test_it_is_answered_when_there_is_nothing_left_to_check() -> None:
    project = await Project.objects.acreate(name="Kitchen")
    await Task.objects.acreate(project=project, title="Paint")
    async with talking(ProjectLive, f"ws/{project.pk}", user=User(pk=1)) as client:
        assert (await client.call("settle_rows"))["response_status"] == 204


async def test_it_is_for_those_with_a_state() -> None:
    async with talking(LiveConsumer) as client:
        answer = await client.call("settle_rows")
    assert (answer["response_status"], answer["errors"]) == (404, ["This consumer has no state."])
