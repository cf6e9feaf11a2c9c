"""URLs of the boards."""

from django.urls import path

from . import views

urlpatterns = [
    path("boards/", views.index, name="boards"),
    path("boards/<str:slug>/", views.show, name="board"),
    path("watch/<str:token>/", views.show_shared, name="shared-board"),
]
