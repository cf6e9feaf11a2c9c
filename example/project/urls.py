"""URLs of the example."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("boards.urls")),
    path("", include("dashboard.urls")),
    path("", include("pages.urls")),
]
