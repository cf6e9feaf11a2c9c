"""Models that are related in every way, to be shown as states."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import QuerySet

from collab.live import related_property
from collab.mirror import MirroredManager


class Named(models.Model):
    name = models.CharField(max_length=100)

    objects = MirroredManager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class Client(Named):
    pass


class Tag(Named):
    pass


class Person(Named):
    pass


class Profile(models.Model):
    person = models.OneToOneField(Person, models.CASCADE, related_name="profile")
    bio = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.bio


class Project(Named):
    client = models.ForeignKey(Client, models.CASCADE, null=True, related_name="projects")
    tags = models.ManyToManyField(Tag, blank=True)

    @related_property("tasks__assignee", reverse="task__project")
    def people(self) -> QuerySet[Person]:
        return Person.objects.filter(task__project=self).distinct().order_by("pk")


class Task(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name="tasks")
    assignee = models.ForeignKey(Person, models.SET_NULL, null=True, blank=True)
    title = models.CharField(max_length=100)
    position = models.IntegerField(default=0)

    objects = MirroredManager()

    class Meta:
        ordering: ClassVar = ["position", "pk"]

    def __str__(self) -> str:
        return self.title

    @related_property("project__client")
    def client_name(self) -> Any:
        return self.project.client and self.project.client.name


class Step(Named):
    task = models.ForeignKey(Task, models.CASCADE, related_name="steps")


class Comment(models.Model):
    """Of which nobody sees those of others."""

    task = models.ForeignKey(Task, models.CASCADE, related_name="comments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text


class Attachment(Named):
    """A part of something that others do not see."""

    comment = models.ForeignKey(Comment, models.CASCADE, related_name="attachments")


class Draft(models.Model):
    """A row that only its user sees, at the top."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text
