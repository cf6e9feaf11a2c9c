"""One line gives a project its ASGI application: pages, documents, origins, the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from channels.testing import ApplicationCommunicator, HttpCommunicator
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncClient, override_settings
from django.urls import path
from pycrdt import Text

from collab.asgi import get_application
from collab.consumers import YjsConsumer
from collab.engine.connections.routes import consumers
from collab.testing import close_rooms, connect
from tests.harness.communicator import Communicator
from tests.harness.waiting import DEADLINE, until
from tests.projects.documents import calls

pytestmark = pytest.mark.django_db(transaction=True)

ORIGIN = (b"origin", b"http://testserver")
HOST = (b"host", b"testserver")


@pytest.fixture(autouse=True)
async def _close() -> AsyncIterator[None]:
    yield
    await close_rooms()
    calls.clear()


async def session_cookie(user: User) -> tuple[bytes, bytes]:
    client = AsyncClient()
    await client.aforce_login(user)
    return b"cookie", client.cookies.output(header="", sep=";").encode()


async def handshake(application: Any, url: str, *headers: tuple[bytes, bytes]) -> Any:
    communicator = Communicator(application, url, headers=[HOST, *headers])
    accepted, _ = await communicator.connect()
    return communicator, accepted


async def test_every_document_type_is_served_to_the_sessions_user() -> None:
    ann = await User.objects.acreate(pk=5, username="ann")
    communicator, accepted = await handshake(
        get_application(), "/ws/recorded/5", ORIGIN, await session_cookie(ann)
    )
    assert accepted
    await communicator.disconnect()


async def test_pages_of_other_hosts_are_refused() -> None:
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        elsewhere = (b"origin", b"http://elsewhere.example")
        communicator, accepted = await handshake(get_application(), "/ws/recorded/5", elsewhere)
        assert not accepted
        await communicator.disconnect()


async def test_a_path_without_a_route_is_closed_with_a_code_and_a_reason() -> None:
    communicator = Communicator(
        get_application(), "/elsewhere", headers=[HOST, ORIGIN], subprotocols=["other", "collab"]
    )
    assert await communicator.connect() == (True, "collab")
    closed = await communicator.receive_output()
    assert (closed["code"], closed["reason"]) == (
        4404,
        "No document is served at this address.",
    )
    await communicator.wait()


async def test_a_stock_client_is_refused_at_a_path_without_a_route() -> None:
    # Accepted, it would take each attempt for a success, and try again at once.
    communicator, accepted = await handshake(get_application(), "/elsewhere", ORIGIN)
    assert not accepted
    await communicator.wait()


websocket_urlpatterns = [path("live/<str:room>", YjsConsumer.as_asgi())]


@pytest.mark.parametrize("websockets", [websocket_urlpatterns, f"{__name__}.websocket_urlpatterns"])
async def test_routes_of_the_project_take_the_place_of_the_default(websockets: Any) -> None:
    application = get_application(websockets)
    communicator, accepted = await handshake(application, "/live/a", ORIGIN)
    assert accepted
    await communicator.disconnect()
    communicator, accepted = await handshake(application, "/ws/recorded/5", ORIGIN)
    assert not accepted
    await communicator.wait()


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with a word."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_pages_are_those_of_django_unless_a_route_comes_before() -> None:

    application = get_application(http=[path("hello", cast("Any", hello))])
    response = await HttpCommunicator(application, "GET", "/hello").get_response(timeout=DEADLINE)
    assert response["body"] == b"hello"
    assert isinstance(application.application_mapping["http"].routes[-1].callback, ASGIHandler)


@pytest.mark.parametrize("script_name", ["/app", "/app/"])
@pytest.mark.parametrize(
    ("prefix", "root_path"),
    [
        pytest.param("/app", "", id="whole path"),
        pytest.param("", "", id="removed by a proxy"),
        pytest.param("/app", "/app", id="known to the server"),
    ],
)
async def test_routes_are_below_the_forced_script_name(
    script_name: str, prefix: str, root_path: str, settings: Any
) -> None:
    settings.FORCE_SCRIPT_NAME = script_name
    ann = await User.objects.acreate(pk=5, username="ann")
    application = get_application(http=[path("hello", cast("Any", hello))])
    page = HttpCommunicator(application, "GET", f"{prefix}/hello")
    page.scope["root_path"] = root_path
    assert (await page.get_response(timeout=DEADLINE))["body"] == b"hello"
    headers = [HOST, ORIGIN, await session_cookie(ann)]
    communicator = Communicator(application, f"{prefix}/ws/recorded/5", headers=headers)
    communicator.scope["root_path"] = root_path
    assert (await communicator.connect())[0]
    await communicator.disconnect()


def test_consumers_below_a_forced_script_name_are_found(settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/app"
    assert consumers(YjsConsumer, get_application()) == [YjsConsumer]


@pytest.mark.parametrize("debug", [True, False])
def test_static_files_are_served_while_debug(debug: bool, settings: Any) -> None:
    settings.DEBUG = debug
    settings.INSTALLED_APPS = ["django.contrib.staticfiles", *settings.INSTALLED_APPS]
    pages = get_application().application_mapping["http"].routes[-1].callback
    assert isinstance(pages, ASGIStaticFilesHandler) is debug


async def test_changes_are_delivered_from_the_start_and_stored_before_the_end() -> None:
    lifespan = ApplicationCommunicator(get_application(), {"type": "lifespan"})
    await lifespan.send_input({"type": "lifespan.startup"})
    assert (await lifespan.receive_output(DEADLINE))["type"] == "lifespan.startup.complete"
    async with connect(get_application(), "/ws/recorded/5", user=User(pk=5)) as ann:
        ann.doc.get("text", type=Text).insert(0, "Hello")
        await until(lambda: any(call[0] == "changed" for call in calls))
        ann.doc.get("text", type=Text).insert(0, "Well, ")
        await lifespan.send_input({"type": "lifespan.shutdown"})
        assert (await ann.wait_closed()).code == 1012
        assert (await lifespan.receive_output(DEADLINE))["type"] == "lifespan.shutdown.complete"
        await lifespan.wait(DEADLINE)
