"""A generic consumer, for clients of djangochannelsrestframework."""

from __future__ import annotations

from rest_framework import serializers

from collab.live.rest import mixins
from collab.live.rest.generics import GenericAsyncAPIConsumer
from collab.live.rest.instance_observers import ObserverModelInstanceMixin
from tests.rows.models import Label

__all__ = ["Labels"]


class LabelSerializer(serializers.ModelSerializer[Label]):
    class Meta:
        model = Label
        fields = ("id", "name")


class Labels(
    ObserverModelInstanceMixin,
    mixins.CreateModelMixin,
    mixins.DeleteModelMixin,
    mixins.ListModelMixin,
    mixins.PatchModelMixin,
    mixins.UpdateModelMixin,
    GenericAsyncAPIConsumer,
):
    """Lets everybody do everything with labels, and watch them."""

    queryset = Label.objects.order_by("pk")
    serializer_class = LabelSerializer
