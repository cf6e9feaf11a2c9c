"""URLs of the dashboard."""

from django.urls import path

from . import views

urlpatterns = [
    path("dashboard/", views.index, name="dashboard"),
    path("api/readings/", views.readings, name="readings"),
    path("objects/<str:model>/<str:pk>/", views.show_object, name="object"),
]
