"""Views answer on the connection as they do to requests, and to nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from rest_framework import permissions, viewsets
from rest_framework.authentication import TokenAuthentication
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from collab.live.rest.views import MAPPED_ACTIONS, view_as_consumer
from tests.live.rows import TaskSerializer
from tests.live.talking import Talker, talking
from tests.rows.models import Board, Task

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("memory")]


class Served:
    """Lets :func:`talking` connect to an application."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def as_asgi(self) -> Any:
        return self.application


def served(view: Any, mapped_actions: Any = None) -> Any:
    return Served(view_as_consumer(view, mapped_actions))


class TaskView(viewsets.ModelViewSet[Task]):
    queryset = Task.objects.all()
    serializer_class = TaskSerializer
    permission_classes = (permissions.IsAuthenticated,)


ALL: Any = {"get": "list", "post": "create"}
ONE: Any = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
ANN = User(pk=1, username="ann")


@api_view(["GET", "POST", "PUT"])
def tell(request: Request, /, **kwargs: Any) -> Response:
    return Response(
        {
            "method": request.method,
            "user": request.user.username,
            "data": request.data,
            "query": dict(request.query_params.lists()),
            "kwargs": kwargs,
            "cookies": request.COOKIES,
            "language": request.headers.get("Accept-Language"),
            "session": getattr(request, "session", None),
        }
    )


async def test_view_gets_all_that_the_client_sends() -> None:
    headers = [(b"cookie", b"a=b"), (b"accept-language", b"de"), (b"content-length", b"7")]
    scope: Any = {"headers": headers, "session": {"key": "value"}}
    async with talking(served(tell), user=ANN, **scope) as ann:
        told = await ann.call(
            "create", data={"title": "é"}, query={"a": 1, "b": [1, 2]}, parameters={"pk": 5}
        )
        assert (told["response_status"], told["errors"]) == (200, [])
        assert told["data"] == {
            "method": "POST",
            "user": "ann",
            "data": {"title": "é"},
            "query": {"a": ["1"], "b": ["1", "2"]},
            "kwargs": {"pk": 5},
            "cookies": {"a": "b"},
            "language": "de",
            "session": {"key": "value"},
        }
        told = await ann.call("list")
        assert (told["data"]["data"], told["data"]["query"]) == ({}, {})


async def test_a_connection_without_a_user_is_anonymous() -> None:
    async with talking(served(tell)) as nobody:
        assert (await nobody.call("list"))["data"]["user"] == ""


async def test_user_is_that_of_the_connection_however_the_view_finds_out() -> None:
    class Tokens(TaskView):
        authentication_classes = (TokenAuthentication,)

    async with talking(served(Tokens.as_view(ALL)), user=ANN) as ann:
        assert (await ann.call("list"))["response_status"] == 200


async def test_views_of_models_do_all_that_they_do() -> None:
    board = await Board.objects.acreate(name="b")
    data = {"board": board.pk, "title": "one"}
    async with (
        talking(served(TaskView.as_view(ALL)), user=ANN) as all_,
        talking(served(TaskView.as_view(ONE)), user=ANN) as one,
    ):
        answer = await all_.call("create", data=data)
        assert answer["response_status"] == 201
        parameters = {"pk": answer["data"]["id"]}
        assert (await all_.call("list"))["data"] == [answer["data"]]
        assert (await one.call("retrieve", parameters=parameters))["data"] == answer["data"]
        for name, title in (("update", "two"), ("patch", "three")):
            answer = await one.call(name, parameters=parameters, data={**data, "title": title})
            assert answer["data"]["title"] == title
        answer = await one.call("delete", parameters=parameters)
        assert (answer["response_status"], answer["data"]) == (204, None)


async def test_errors_of_views_are_errors() -> None:
    board = await Board.objects.acreate(name="b")
    async with (
        talking(served(TaskView.as_view(ALL))) as nobody,
        talking(served(TaskView.as_view(ALL)), user=ANN) as all_,
        talking(served(TaskView.as_view(ONE)), user=ANN) as one,
    ):
        answer = await nobody.call("list")
        assert (answer["response_status"], answer["data"]) == (403, None)
        answer = await all_.call("create", data={"board": board.pk})
        errors = [{"title": ["This field is required."]}]
        assert (answer["response_status"], answer["errors"]) == (400, errors)
        answer = await one.call("retrieve", parameters={"pk": 0})
        assert answer["response_status"] == 404
        answer = await all_.call("delete")
        assert answer["response_status"] == 405
        assert (await all_.call("other"))["response_status"] == 405
        answer = await all_.call("list", query="text")
        assert (answer["response_status"], [*answer["errors"][0]]) == (400, ["query"])


# Views of Django.


def plain(request: HttpRequest) -> HttpResponse:
    kinds: dict[str, Any] = {
        "text": lambda: HttpResponse("text"),
        "json": lambda: JsonResponse({"a": [1]}),
        "nothing": lambda: HttpResponse(status=204, content_type="application/json"),
        "template": lambda: TemplateResponse(request, "admin/404.html"),
        "stream": lambda: StreamingHttpResponse(iter(["a", "b"])),
    }
    if request.GET["kind"] == "refused":
        raise PermissionDenied
    response: HttpResponse = kinds[request.GET["kind"]]()
    return response


async def test_views_of_django_answer() -> None:
    async with talking(served(plain)) as ann:

        async def answer(kind: str) -> Any:
            return await ann.call("list", query={"kind": kind})

        assert (await answer("text"))["data"] == "text"
        assert (await answer("json"))["data"] == {"a": [1]}
        assert (await answer("stream"))["data"] == "ab"
        nothing = await answer("nothing")
        assert (nothing["data"], nothing["response_status"]) == ("", 204)
        assert "<h2>" in (await answer("template"))["data"]
        assert (await answer("refused"))["response_status"] == 403


async def test_async_views_answer() -> None:
    async def view(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return JsonResponse({"method": request.method})

    async with talking(served(view, {"send_it": "PATCH"})) as ann:
        assert (await ann.call("send_it"))["data"] == {"method": "PATCH"}
        assert (await ann.call("list"))["response_status"] == 405


async def test_a_view_decides_by_itself_who_may_call(settings: Any) -> None:
    settings.COLLAB = {**settings.COLLAB, "DEFAULT_ACCESS": "none"}
    async with talking(served(tell)) as ann:
        assert (await ann.call("list"))["response_status"] == 200


def test_actions_cannot_have_names_of_attributes() -> None:
    assert "list" in MAPPED_ACTIONS
    with pytest.raises(ValueError, match="Rename action 'receive'"):
        view_as_consumer(tell, {"receive": "GET"})


async def test_answers_reach_who_has_asked() -> None:
    application = served(tell)

    async def ask(client: Talker, name: str) -> None:
        for _ in range(5):
            assert (await client.call("list"))["data"]["user"] == name
        assert await client.quiet()

    async with (
        talking(application, user=ANN) as ann,
        talking(application, user=User(pk=2, username="bob")) as bob,
    ):
        await asyncio.gather(ask(ann, "ann"), ask(bob, "bob"))
