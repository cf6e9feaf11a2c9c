"""Models with rows of every kind that a mirror has to deal with."""

from __future__ import annotations

from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models

from collab.mirror import MirroredManager, MirroredModel


class Board(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Label(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Task(models.Model):
    class State(models.TextChoices):
        OPEN = "open"
        DONE = "done"

    board = models.ForeignKey(Board, models.CASCADE, related_name="tasks")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    title = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    done = models.BooleanField(default=False)
    position = models.IntegerField(default=0)
    due = models.DateField(null=True, blank=True)
    at = models.DateTimeField(null=True, blank=True)
    estimate = models.DecimalField(max_digits=6, decimal_places=2, null=True, blank=True)
    extra = models.JSONField(default=dict, blank=True)
    body = models.TextField(blank=True)
    labels = models.ManyToManyField(Label, blank=True)

    objects = MirroredManager()

    class Meta:
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return self.title


class TrackedTask(MirroredModel, Task):
    """A task that knows what it was loaded with."""

    class Meta:
        proxy = True


class Note(models.Model):
    """Its primary key may be drawn by a client."""

    id = models.UUIDField(primary_key=True, default=uuid4)
    board = models.ForeignKey(Board, models.CASCADE, related_name="notes")
    text = models.CharField(max_length=100)

    objects = MirroredManager()

    def __str__(self) -> str:
        return self.text


class Card(models.Model):
    """Its owner sees more of it than others do."""

    board = models.ForeignKey(Board, models.CASCADE, related_name="cards")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    title = models.CharField(max_length=100)
    done = models.BooleanField(default=False)
    diary = models.TextField(blank=True)
    salary = models.CharField(max_length=100, blank=True)

    objects = MirroredManager()

    def __str__(self) -> str:
        return self.title


class Place(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Shop(Place):
    """A row that is one of two models."""

    street = models.CharField(max_length=100, blank=True)


class Person(models.Model):
    name = models.CharField(max_length=100)
    home = models.ForeignKey(Place, models.SET_NULL, null=True, related_name="+")

    def __str__(self) -> str:
        return self.name


class Team(models.Model):
    """Its values are those of many others."""

    name = models.CharField(max_length=100)
    leader = models.ForeignKey(Person, models.SET_NULL, null=True, related_name="leads")
    members: models.ManyToManyField[Person, Membership] = models.ManyToManyField(
        Person, through="Membership", related_name="teams"
    )

    def __str__(self) -> str:
        return self.name


class FamousTeam(Team):
    class Meta:
        proxy = True

    def room_names(self) -> list[str]:
        return ["famous"]


class Membership(models.Model):
    team = models.ForeignKey(Team, models.CASCADE, related_name="+")
    person = models.ForeignKey(Person, models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return f"{self.person} of {self.team}"


class Match(models.Model):
    team = models.ForeignKey(Team, models.CASCADE)
    place = models.CharField(max_length=100)

    objects = MirroredManager()

    def __str__(self) -> str:
        return self.place


class Recipe(MirroredModel):
    """Its stale instances save the fields that they have changed."""

    title = models.CharField(max_length=100)
    text = models.TextField(blank=True)
    tags = models.JSONField(default=list, blank=True)
    place = models.ForeignKey(Place, models.SET_NULL, null=True, blank=True)
    changed = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.title
