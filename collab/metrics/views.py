"""Views for a load balancer and for Prometheus.

Both views answer for the process that they run in. They require no login: include
``collab.metrics.urls`` where only your monitoring can reach it.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from collab import __compiled__
from collab.metrics.health import check_health

__all__ = ["health", "metrics"]


@never_cache
@require_safe
async def health(request: HttpRequest) -> JsonResponse:
    """Answer 200 if this process can work, else 503; the JSON body names the fault."""
    outcome = await check_health()
    answer = {"status": outcome.status, "checks": outcome.checks, "compiled": __compiled__}
    return JsonResponse(answer, status=200 if outcome.status == "ok" else 503)


@never_cache
@require_safe
async def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the metrics in Prometheus' text format.

    Raises:
        ImproperlyConfigured: prometheus-client is not installed.
    """
    try:
        from collab.metrics.prometheus import exposition
    except ImportError as error:
        raise ImproperlyConfigured(
            'The metrics view needs prometheus-client: pip install "django-collab[metrics]".'
        ) from error
    text, content_type = exposition(request.headers.get("Accept", ""))
    return HttpResponse(text, content_type=content_type)
