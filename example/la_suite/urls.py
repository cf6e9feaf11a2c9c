"""URLs of ``y-provider``."""

from django.urls import path

from . import views

urlpatterns = [
    path("ping/", views.ping),
    path("api/convert/", views.convert),
    path("collaboration/api/reset-connections/", views.reset_connections),
    path("collaboration/api/get-connections/", views.get_connections),
    path("collaboration/api/poll/", views.poll),
]
