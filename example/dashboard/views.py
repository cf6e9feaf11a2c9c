"""Views of the dashboard, and the API for readings of thermometers."""

import json
from hmac import compare_digest
from math import isfinite

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from .readings import record


@login_required
def index(request: HttpRequest) -> HttpResponse:
    """Show the chart, the notifications, and objects to subscribe to."""
    url = request.build_absolute_uri(reverse("readings"))
    return render(request, "dashboard/index.html", {"url": url, "token": settings.SENSOR_TOKEN})


@login_required
def show_object(request: HttpRequest, model: str, pk: str) -> HttpResponse:
    """Show an object of any model; the websocket checks access."""
    return render(request, "dashboard/object.html", {"object": {"model": model, "id": pk}})


@csrf_exempt
@require_POST
def readings(request: HttpRequest) -> HttpResponse:
    """Record a reading, ``{"value": 21.5}``, sent with the token."""
    given = request.headers.get("Authorization", "")
    if not compare_digest(given.encode(), f"Bearer {settings.SENSOR_TOKEN}".encode()):
        return JsonResponse({"error": "This needs the token."}, status=401)
    try:
        value = float(json.loads(request.body)["value"])
    except (KeyError, TypeError, ValueError):
        value = float("nan")
    if not isfinite(value):
        return JsonResponse({"error": 'Send {"value": 21.5}.'}, status=400)
    return JsonResponse(record(value), status=201)
