"""URLs of the example."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.templatetags.static import static as static_address
from django.urls import include, path
from django.views.generic import RedirectView


class FaviconView(RedirectView):
    """Redirects browsers that ask for ``/favicon.ico``, as they do on pages of the admin."""

    def get_redirect_url(self, *args: object, **kwargs: object) -> str:
        """Return the address of the icon."""
        return static_address("favicon.svg")


urlpatterns = [
    path("favicon.ico", FaviconView.as_view()),
    path("admin/", admin.site.urls),
    # collab: stores images of users who may write the page.
    path("collab/", include("collab.editor.urls")),
    # collab: versions of documents.
    path("history/", include("collab.history.urls")),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
    path("", include("boards.urls")),
    path("", include("dashboard.urls")),
    path("", include("la_suite.urls")),
    path("", include("meetings.urls")),
    path("", include("pages.urls")),
]
