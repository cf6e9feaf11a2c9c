"""Views of the boards; their content is loaded through the websocket."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from pages.people import Person, person

from .models import Board, Task


@login_required
def index(request: HttpRequest) -> HttpResponse:
    """List the boards, or create one and open it."""
    if request.method == "POST":
        title = request.POST.get("title", "").strip()
        board = Board.objects.create(
            owner=request.user, **({"title": title[:200]} if title else {})
        )
        return redirect(board)
    boards = Board.objects.select_related("owner").annotate(
        total=Count("tasks"), done=Count("tasks", filter=Q(tasks__state=Task.State.DONE))
    )
    return render(request, "boards/index.html", {"boards": boards})


@login_required
def show(request: HttpRequest, slug: str) -> HttpResponse:
    """Open a board."""
    return _board(request, get_object_or_404(Board, slug=slug), person(request.user))


def show_shared(request: HttpRequest, token: str) -> HttpResponse:
    """Open a board read-only."""
    board = get_object_or_404(Board, share_token=token)
    return _board(request, board, person(request.user), share=token)


def _board(request: HttpRequest, board: Board, me: Person, share: str = "") -> HttpResponse:
    client: dict[str, Any] = {"room": board.slug, "share": share, "me": me}
    context = {
        "board": board,
        "columns": Task.State.choices,
        "client": client,
        "read_only": bool(share),
        "share_url": request.build_absolute_uri(board.get_share_url()),
    }
    return render(request, "boards/board.html", context)
