"""A project with editors in its pages, below a policy that forbids inline scripts and styles.

``/page/notes/5?editor=plain&editor=rich`` has two editors of one document. Names that begin with
``read`` may be read only, with ``closed`` by nobody, and with ``own`` by users who are logged in.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import engines
from django.templatetags.static import static
from django.urls import include, path
from django.utils.translation import get_language, get_language_bidi

django.setup(set_prefix=False)

from django.contrib import admin  # noqa: E402
from django.contrib.auth import login  # noqa: E402
from django.contrib.auth.models import Permission, User  # noqa: E402
from django.forms import modelform_factory  # noqa: E402
from pycrdt import Doc, XmlElement, XmlFragment, XmlText  # noqa: E402

from collab import documents, history  # noqa: E402
from collab.access import Access  # noqa: E402
from collab.asgi import get_application  # noqa: E402
from collab.editor.rendering import SCRIPT, editor_html  # noqa: E402
from tests.editor.site_settings import PARAGRAPHS  # noqa: E402
from tests.texts.models import Article  # noqa: E402

__all__ = ["application", "forbid_inline", "urlpatterns"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'"
)

#: A tag for each editor, as a template of a project would have them.
TAG = "{{% collab_editor name editor=kinds.{0} field=fields.{0} {1} %}}"
PAGE = """<!doctype html>
<html lang="{{ language }}" dir="{{ direction }}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="htmx-config" content='{"includeIndicatorStyles": false, "allowEval": false}'>
  <title>Editors</title>
</head>
<body>
<main>
  <h1>Editors</h1>
  <form method="post">
    {% csrf_token %}{% load collab_editor %}
    TAGS
    <button>Send</button>
  </form>
</main>
</body>
</html>
"""

FORM = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>A form</title>{{ form.media }}</head>
<body><form method="post">{% csrf_token %}{{ form }}<button>Save</button></form></body>
</html>
"""

#: A page whose own script names the element by a map of the page.
MAPPED = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Editors</title>
  <script type="importmap" nonce="map">{{"imports": {{"the-editor": "{script}"}}}}</script>
  <script type="module" nonce="map">import "the-editor";</script>
</head>
<body>{editor}</body>
</html>
"""


def forbid_inline(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """Add the policy to each response."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return respond


class Open(documents.DocumentType):
    """Documents that everybody may write; those named "long" have many paragraphs."""

    content = "tiptap"

    def authorize(self, user: Any, rest: str) -> Access:
        return Access.WRITE

    def seed(self, doc: Doc[Any], rest: str) -> None:
        if rest == "long":
            body = doc.get("default", type=XmlFragment)
            for number in range(PARAGRAPHS):
                text = XmlText(f"Paragraph {number} of a long document, as people write them.")
                body.children.append(XmlElement("paragraph", contents=[text]))
        elif rest == "hostile":
            fill_hostile(doc.get("default", type=XmlFragment))


def fill_hostile(body: XmlFragment) -> None:
    """Write, past every editor, what would run a script in a careless one."""
    paragraph = body.children.append(XmlElement("paragraph"))
    script = "<img src=x onerror=alert(1)>"
    addresses = (
        "javascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,<script>",
        "vbscript:x",
    )
    for address in addresses:
        link = {"href": address, "target": "_self", "class": '"><script>'}
        paragraph.children.append(XmlText()).insert(0, f"link {address} ", {"link": link})
    for name in ("id", "label"):
        paragraph.children.append(XmlElement("mention", {name: script}))
    image = {
        "src": "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=",
        "alt": script,
        "title": script,
        "onerror": "alert(1)",
    }
    body.children.append(XmlElement("image", image))


class Sheets(Open):
    """Documents of a structure whose version a deployment raises."""

    version = int(os.environ.get("COLLAB_TEST_STRUCTURE", "1"))


class Texts(Open):
    """Texts that everybody may write."""

    content = "plain"
    content_field = "default"


class ReadOnly(Open):
    """Documents that everybody may read."""

    def authorize(self, user: Any, rest: str) -> Access:
        return Access.READ


class Own(Open):
    """Documents of those who are logged in."""

    def authorize(self, user: Any, rest: str) -> Access:
        return Access.WRITE if user.is_authenticated else Access.NONE


class Closed(Open):
    """Documents of nobody."""

    def authorize(self, user: Any, rest: str) -> Access:
        return Access.NONE


for prefix, kind in {
    "notes": Open,
    "sheets": Sheets,
    "texts": Texts,
    "read": ReadOnly,
    "own": Own,
    "closed": Closed,
}.items():
    documents.register(f"{prefix}/<path:rest>")(kind)


def page(request: HttpRequest, name: str) -> HttpResponse:
    """Return a page with editors of a document, with the options that the query has."""
    if request.method == "POST":
        return JsonResponse(request.POST.dict())
    kinds = request.GET.getlist("editor") or ["rich"]
    options = {key: value for key, value in request.GET.items() if key != "editor"}
    written = " ".join(f"{key}=options.{key}" for key in options)
    tags = "".join(TAG.format(index, written) for index in range(len(kinds)))
    context = {
        "name": name,
        "kinds": kinds,
        "fields": [f"{kind}{index}" if index else "default" for index, kind in enumerate(kinds)],
        "options": options,
        "language": get_language(),
        "direction": "rtl" if get_language_bidi() else "ltr",
    }
    template = engines["django"].from_string(PAGE.replace("TAGS", tags))
    return HttpResponse(template.render(context, request))


def mapped(request: HttpRequest, name: str) -> HttpResponse:
    """Return a page that loads the element by its name in an import map."""
    editor = editor_html(name, user=request.user)
    response = HttpResponse(MAPPED.format(script=static(SCRIPT), editor=editor))
    policy = POLICY.replace("script-src 'self'", "script-src 'self' 'nonce-map'")
    response["Content-Security-Policy"] = policy
    return response


def people(request: HttpRequest) -> HttpResponse:
    """Return the people whose names begin as the query says."""
    names = ["Ann", "Anton", "Bob", "<img src=x onerror=alert(1)>"]
    query = request.GET.get("q", "").lower()
    found = [name for name in names if name.lower().startswith(query.replace("x", "<"))]
    results = [{"id": str(index), "label": name} for index, name in enumerate(found)]
    return JsonResponse({"results": results})


def versions(request: HttpRequest, count: int, name: str) -> HttpResponse:
    """Make versions of a document."""
    for number in range(count):
        history.create(name, f"Version {number}", user=request.user)
    return HttpResponse(count)


def media(request: HttpRequest, file: str) -> HttpResponse:
    """Return an image that was stored."""
    content = (Path(settings.MEDIA_ROOT) / "collab" / file).read_bytes()
    return HttpResponse(content, content_type="image/png")


def enter(request: HttpRequest, name: str) -> HttpResponse:
    """Log a user in; Root and Rita are administrators, and Vera may view what is in the admin."""
    is_root = name in ("Root", "Rita")
    defaults = {"is_staff": is_root or name == "Vera", "is_superuser": is_root}
    user, _ = User.objects.get_or_create(username=name, defaults=defaults)
    if name == "Vera":
        user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    return HttpResponse(name, content_type="text/plain")


def form(request: HttpRequest, pk: int) -> HttpResponse:
    """Show or save the form of an article, as a view of any project does."""
    article = Article.objects.get(pk=pk)
    filled = modelform_factory(Article, fields=["title", "body"])(
        request.POST or None, instance=article
    )
    if request.method == "POST" and filled.is_valid():
        filled.save()
        return HttpResponse("saved")
    template = engines["django"].from_string(FORM)
    return HttpResponse(template.render({"form": filled}, request))


urlpatterns = [
    path("page/<path:name>", page),
    path("mapped/<path:name>", mapped),
    path("collab/", include("collab.editor.urls")),
    path("history/", include("collab.history.urls")),
    path("versions/<int:count>/<path:name>", versions),
    path("people", people),
    path("enter/<str:name>", enter),
    path("admin/", admin.site.urls),
    path("form/<int:pk>", form),
    path("media/collab/<str:file>", media),
]

application = get_application()
