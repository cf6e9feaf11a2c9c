"""The fields of the models that states show."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from .models import (
    Attachment,
    Client,
    Comment,
    Draft,
    Person,
    Profile,
    Project,
    Step,
    Tag,
    Task,
)


class ClientSerializer(serializers.ModelSerializer[Client]):
    class Meta:
        model = Client
        fields = ("id", "name")


class TagSerializer(serializers.ModelSerializer[Tag]):
    class Meta:
        model = Tag
        fields = ("id", "name")


class ProfileSerializer(serializers.ModelSerializer[Profile]):
    class Meta:
        model = Profile
        fields = ("id", "bio")


class PersonSerializer(serializers.ModelSerializer[Person]):
    profile = ProfileSerializer(read_only=True)

    class Meta:
        model = Person
        fields = ("id", "name", "profile")


class StepSerializer(serializers.ModelSerializer[Step]):
    class Meta:
        model = Step
        fields = ("id", "name", "task")


class TaskSerializer(serializers.ModelSerializer[Task]):
    steps = StepSerializer(many=True, read_only=True)
    who = PersonSerializer(source="assignee", read_only=True)
    assignee_id = serializers.PrimaryKeyRelatedField[Person](
        source="assignee", queryset=Person.objects.all(), required=False, allow_null=True
    )

    class Meta:
        model = Task
        fields = (
            "id",
            "title",
            "position",
            "project",
            "steps",
            "who",
            "assignee_id",
            "client_name",
        )

    def validate_title(self, title: str) -> str:
        if title.isupper():
            raise serializers.ValidationError("Do not shout.")
        return title


class ProjectSerializer(serializers.ModelSerializer[Project]):
    tasks = TaskSerializer(many=True, read_only=True)
    tags = TagSerializer(many=True, read_only=True)
    client = ClientSerializer(read_only=True)
    people = PersonSerializer(many=True, read_only=True)

    class Meta:
        model = Project
        fields = ("id", "name", "client", "tags", "tasks", "people")


class BriefProjectSerializer(serializers.ModelSerializer[Project]):
    tags = TagSerializer(many=True, read_only=True)

    class Meta:
        model = Project
        fields = ("id", "name", "tags")


class AttachmentSerializer(serializers.ModelSerializer[Attachment]):
    class Meta:
        model = Attachment
        fields = ("id", "name", "comment")


class CommentSerializer(serializers.ModelSerializer[Comment]):
    attachments = AttachmentSerializer(many=True, read_only=True)

    class Meta:
        model = Comment
        fields = ("id", "text", "task", "user", "attachments")
        user_key = "user"
        extra_kwargs: ClassVar[dict[str, Any]] = {"user": {"required": False}}


class DiscussedTaskSerializer(serializers.ModelSerializer[Task]):
    comments = CommentSerializer(many=True, read_only=True)

    class Meta:
        model = Task
        fields = ("id", "title", "comments")


class PinSerializer(serializers.ModelSerializer[Attachment]):
    comment = CommentSerializer(read_only=True)

    class Meta:
        model = Attachment
        fields = ("id", "name", "comment")


class DraftSerializer(serializers.ModelSerializer[Draft]):
    class Meta:
        model = Draft
        fields = ("id", "text")
        user_key = "user"
