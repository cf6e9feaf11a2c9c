"""A document type of the project's own, for rows."""

from __future__ import annotations

from typing import ClassVar

from collab import documents
from collab.editor import RowDocument

from .models import Leaflet


@documents.register("leaflets/<uuid:pk>")
class LeafletDocument(RowDocument):
    model: ClassVar[type[Leaflet]] = Leaflet
    change_delay: ClassVar[float] = 0.5
