"""The project's pages in plain Django; the live part is in ``documents.py``."""

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.datastructures import MultiValueDictKeyError
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_POST
from pycrdt import Map

from collab import documents

from .models import Page
from .people import DEMO_PASSWORD, DEMO_USERS

#: Characters of a Markdown file.
MAX_IMPORT = 1_000_000


class DemoLoginView(LoginView):
    """Django's login page with the demo users."""

    extra_context = {"demo_users": DEMO_USERS, "demo_password": DEMO_PASSWORD}  # noqa: RUF012
    redirect_authenticated_user = True


@login_required
def index(request: HttpRequest) -> HttpResponse:
    """List the pages, or those that match a search."""
    pages, query = Page.objects.select_related("owner", "edited_by"), request.GET.get("q", "")
    for word in query.split():
        pages = pages.filter(Q(title__icontains=word) | Q(text__icontains=word))
    return render(request, "pages/index.html", {"pages": pages, "query": query})


@login_required
@require_POST
def create(request: HttpRequest) -> HttpResponseRedirect:
    """Create a page and open it."""
    title = request.POST.get("title", "").strip()
    page = Page.objects.create(owner=request.user, **({"title": title[:200]} if title else {}))
    return redirect(page)


@login_required
def show(request: HttpRequest, slug: str) -> HttpResponse:
    """Open a page for writing."""
    page = get_object_or_404(Page.objects.select_related("owner"), slug=slug)
    return _editor(request, page)


def show_shared(request: HttpRequest, token: str) -> HttpResponse:
    """Open a page read-only."""
    page = get_object_or_404(Page.objects.select_related("owner"), share_token=token)
    return _editor(request, page, read_only=True)


def _editor(request: HttpRequest, page: Page, read_only: bool = False) -> HttpResponse:
    share_url = request.build_absolute_uri(page.get_share_url())
    context = {"page": page, "read_only": read_only, "share_url": share_url}
    return render(request, "pages/page.html", context)


@login_required
@require_POST
def rename(request: HttpRequest, slug: str) -> HttpResponse:
    """Change the title of a page, also where it is open."""
    page = get_object_or_404(Page, slug=slug)
    page.title = request.POST.get("title", "").strip()[:200] or "Untitled"
    # One transaction: the title in the row and the one in the document never differ.
    with transaction.atomic():
        page.save(update_fields=["title"])
        with documents.edit(page.slug, user=request.user) as doc:
            doc.get("page", type=Map)["title"] = page.title
    return HttpResponse(page.title, content_type="text/plain")


@login_required
def export(request: HttpRequest, slug: str, format: str) -> HttpResponse:
    """Download a page as HTML or Markdown."""
    page = get_object_or_404(Page, slug=slug)
    if format == "md":
        content, content_type = documents.markdown(slug), "text/markdown; charset=utf-8"
    elif format == "html":
        content, content_type = documents.html(slug), "text/html; charset=utf-8"
    else:
        raise Http404
    headers = {"Content-Disposition": content_disposition_header(True, f"{page.title}.{format}")}
    return HttpResponse(content, content_type=content_type, headers=headers)


@login_required
@require_POST
def import_markdown(request: HttpRequest, slug: str) -> HttpResponse:
    """Replace the text of a page with a Markdown file, also where it is open."""
    page = get_object_or_404(Page, slug=slug)
    try:
        text = request.FILES["file"].read(MAX_IMPORT + 1).decode("utf-8-sig")
    except (MultiValueDictKeyError, UnicodeDecodeError):
        return HttpResponse("Choose a Markdown file in UTF-8.", status=400)
    if len(text) > MAX_IMPORT:
        return HttpResponse("The file is too large.", status=413)
    documents.replace(slug, markdown=text, user=request.user)
    return redirect(page)


@login_required
@require_POST
def delete(request: HttpRequest, slug: str) -> HttpResponseRedirect:
    """Delete a page of the user, also where it is open."""
    page = get_object_or_404(Page, slug=slug, owner=request.user)
    with transaction.atomic():
        page.delete()
        documents.delete(slug)
    return redirect("pages")
