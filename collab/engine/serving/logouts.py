"""Acts at once, in every process, on users who log out, are deactivated or lose their session."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from collab.engine.hub.current import in_all_hubs
from collab.engine.hub.identity import session_digest
from collab.engine.relay.messages import ALL_ROOMS, order
from collab.engine.relay.publisher import publish

__all__ = ["connect_signals"]


def connect_signals() -> None:
    """Follow the users and sessions of the project; called once all apps are loaded."""
    user_logged_out.connect(_logged_out, dispatch_uid="collab.logged_out")
    user_model = get_user_model()
    post_save.connect(_user_saved, sender=user_model, dispatch_uid="collab.user_saved")
    post_delete.connect(_user_deleted, sender=user_model, dispatch_uid="collab.user_deleted")
    store = import_module(django_settings.SESSION_ENGINE).SessionStore
    if apps.is_installed("django.contrib.sessions") and hasattr(store, "get_model_class"):
        # Of sessions elsewhere, in a cache for example, no deletion is signalled.
        model = store.get_model_class()
        post_delete.connect(_session_deleted, sender=model, dispatch_uid="collab.session_deleted")


def _logged_out(request: Any, **kwargs: Any) -> None:
    if key := getattr(getattr(request, "session", None), "session_key", None):
        _forget(session=session_digest(key))


def _user_saved(instance: Any, using: str, **kwargs: Any) -> None:
    if not getattr(instance, "is_active", True):
        transaction.on_commit(partial(_forget, user=str(instance.pk)), using)


def _user_deleted(instance: Any, using: str, **kwargs: Any) -> None:
    transaction.on_commit(partial(_forget, user=str(instance.pk)), using)


def _session_deleted(instance: Any, using: str, **kwargs: Any) -> None:
    digest = session_digest(instance.session_key)
    transaction.on_commit(partial(_forget, session=digest), using)


def _forget(*, user: str | None = None, session: str | None = None) -> None:
    """Treat the connections of a user, or of a session, as anonymous from now on."""
    in_all_hubs(lambda hub: hub.forget_user(user, session))
    publish(ALL_ROOMS, order(ALL_ROOMS, "forget", user=user, session=session))
