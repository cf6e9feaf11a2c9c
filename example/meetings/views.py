"""A page that shows the admin with two users in one form."""

from django.contrib.auth import authenticate, login
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render

from pages.people import DEMO_PASSWORD, DEMO_USERS

from .models import Meeting


@login_required
def together(request: HttpRequest) -> HttpResponse:
    """Show two frames, each with a demo user in the form of the first meeting."""
    meeting = Meeting.objects.first()
    return render(request, "meetings/together.html", {"meeting": meeting, "users": DEMO_USERS[:2]})


def enter(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Log the demo user of a frame in, and open the form of a meeting; see ``frames.py``."""
    meeting = get_object_or_404(Meeting, pk=pk)
    name = request.META["SCRIPT_NAME"].rpartition("/")[2]
    user = authenticate(request, username=name, password=DEMO_PASSWORD)
    if user is None:
        return redirect("login")
    if request.user != user:
        login(request, user)
    return redirect("admin:meetings_meeting_change", meeting.pk)
