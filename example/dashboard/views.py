"""The pages around the websocket, and where thermometers send their readings."""

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
    """Show the chart, the notifications, and what can be watched."""
    url = request.build_absolute_uri(reverse("readings"))
    return render(request, "dashboard/index.html", {"url": url, "token": settings.SENSOR_TOKEN})


@login_required
def show_object(request: HttpRequest, model: str, pk: str) -> HttpResponse:
    """Watch one object, whatever it is; the websocket says whether it may be seen."""
    return render(request, "dashboard/object.html", {"object": {"model": model, "id": pk}})


@csrf_exempt
@require_POST
def readings(request: HttpRequest) -> HttpResponse:
    """Take a reading, ``{"value": 21.5}``, of whoever has the token."""
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
