"""Uses the samples of docs/coming-from.md."""

from __future__ import annotations

import json

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from mysite.asgi import application  # type: ignore[import-not-found]
from notes.comments import CommentConsumer  # type: ignore[import-not-found]
from notes.models import Comment, Course, Lesson, Post  # type: ignore[import-not-found]
from notes.notices import notify  # type: ignore[import-not-found]
from pycrdt import Map

from collab.testing import ConnectionClosed, connect
from tests.harness.communicator import Communicator

pytestmark = [pytest.mark.asyncio, pytest.mark.django_db(transaction=True)]


async def test_a_course_and_its_lessons() -> None:
    user = await User.objects.acreate(username="ann")
    course = await Course.objects.acreate(name="Kitchen")
    lesson = await Lesson.objects.acreate(course=course, title="Paint")
    with pytest.raises(ConnectionClosed, match="4403"):
        async with connect(application, f"/ws/courses/{course.pk}", user=user):
            pytest.fail("Another user was let in.")
    await course.teachers.aadd(user)
    async with connect(application, f"/ws/courses/{course.pk}", user=user) as ann:
        row = ann.doc.get("notes.LessonSerializer", type=Map)[str(lesson.pk)]
        courses = ann.doc.get("notes.CourseSerializer", type=Map)
        assert courses[str(course.pk)]["teachers"] == [user.pk]
        lesson.done = True
        await lesson.asave()
        await ann.wait_until(lambda: row["done"])
        ann.send(json.dumps({"action": "archive_done", "request_id": 1}))
        await ann.wait_until(lambda: ann.messages[-1]["request_id"] == 1)
        assert ann.messages[-1]["data"] == 1
        await ann.wait_until(lambda: row["archived"])
        row["title"] = "Wallpaper"
        await ann.wait_until(lambda: ann.errors and row["title"] == "Paint")


async def test_a_notice_reaches_every_user_that_has_the_course_open() -> None:
    user = await User.objects.acreate(username="ann")
    course = await Course.objects.acreate(name="Kitchen")
    await course.teachers.aadd(user)
    async with connect(application, f"/ws/courses/{course.pk}", user=user) as ann:
        await sync_to_async(notify)(course, {"text": "Lunch"})
        await ann.wait_until(lambda: ann.messages[-1]["data"] == {"text": "Lunch"})


async def test_comments_on_a_post() -> None:
    ann, bob = [await User.objects.acreate(username=name) for name in ("ann", "bob")]
    post = await Post.objects.acreate(title="First")
    async with connect(application, f"/ws/posts/{post.pk}", user=ann) as client:
        comments = client.doc.get("comments", type=Map)
        comments["a6b5c2ff-2b0f-4f6b-8a55-0d34cf4f3f55"] = Map({"text": "First!"})
        await client.wait_until(lambda: client.messages[-1]["action"] == "row_created")
    comment = await Comment.objects.aget()
    assert (comment.text, comment.author_id, comment.post_id) == ("First!", ann.pk, post.pk)
    async with connect(application, f"/ws/posts/{post.pk}", user=bob) as client:
        row = client.doc.get("comments", type=Map)[str(comment.pk)]
        assert row["author_name"] == "ann"
        row["text"] = "Last!"
        await client.wait_until(lambda: client.errors and row["text"] == "First!")


async def test_a_consumer_with_other_imports() -> None:
    ann = await User.objects.acreate(username="ann")
    post = await Post.objects.acreate(title="First")
    communicator = Communicator(CommentConsumer.as_asgi(), "/")
    communicator.scope["user"] = ann
    assert (await communicator.connect())[0]
    subscribe = {"action": "subscribe_to_post", "request_id": 1, "post": post.pk}
    await communicator.send_json_to(subscribe)
    create = {"action": "create", "request_id": 2, "post": post.pk, "data": {"text": "First!"}}
    await communicator.send_json_to(create)
    frames = [await communicator.receive_json_from() for _ in range(2)]
    row = {"id": (await Comment.objects.aget()).pk, "author_name": "ann", "text": "First!"}
    assert [frame["data"] for frame in frames] == [row, row]
    assert {frame["request_id"]: frame["response_status"] for frame in frames} == {1: 200, 2: 201}
    await communicator.disconnect()
