"""URLs of the page with the admin of two users."""

from django.urls import path

from . import views

urlpatterns = [
    path("meetings/", views.together, name="together"),
    path("meetings/<int:pk>/enter/", views.enter, name="enter-meeting"),
]
