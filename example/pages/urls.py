"""URLs of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from . import views

urlpatterns = [
    path("", views.index, name="pages"),
    path("login/", views.DemoLoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("pages/", views.create, name="create-page"),
    path("pages/<str:slug>/", views.show, name="page"),
    path("pages/<str:slug>/rename/", views.rename, name="rename-page"),
    path("pages/<str:slug>/delete/", views.delete, name="delete-page"),
    path("pages/<str:slug>/import/", views.import_markdown, name="import-page"),
    path("pages/<str:slug>/export.<str:format>", views.export, name="export-page"),
    path("read/<str:token>/", views.show_shared, name="shared-page"),
]
