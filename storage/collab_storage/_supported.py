"""Databases that keep documents apart, and those that do not."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

__all__ = ["check_supported"]

#: Databases that are refused. None is asked for its name: a server may do this in an event loop.
_NAMES = {"mysql": "MySQL or MariaDB", "oracle": "Oracle"}
_VENDORS = (
    "Documents cannot be stored in the database {using!r}: {vendor} compares names without regard"
    ' to case, accents or blanks at the end, so "Note" and "note" would be one document. Use'
    " PostgreSQL or SQLite, or collab_storage.sqlite.SQLiteStorage beside your database."
)
_TENANTS = (
    "The database {using!r} has a schema for each tenant, but the connections that store documents"
    ' are not those of requests: they would all use the schema "public", and tenants could read'
    " each other's documents of the same name. If the name of each document begins with its"
    ' tenant, confirm that with "OPTIONS": {{"tenants": "in names"}} in COLLAB["STORAGE"]; see'
    ' "Tenants" in docs/storage.md.'
)

_TENANTS_OPTION = "in names"


def check_supported(using: str, tenants: str | None) -> None:
    """Refuse a database in which documents would be mixed up.

    Raises:
        ImproperlyConfigured: it would not keep documents, or those of tenants, apart.
    """
    if tenants not in (None, _TENANTS_OPTION):
        raise ImproperlyConfigured(f'"tenants" may be {_TENANTS_OPTION!r}, not {tenants!r}.')
    if using not in connections.databases:
        return
    connection = connections[using]
    if vendor := _NAMES.get(connection.vendor):
        raise ImproperlyConfigured(_VENDORS.format(using=using, vendor=vendor))
    # As django-tenants' connections have it, and django-tenant-schemas'.
    if hasattr(connection, "set_schema") and tenants is None:
        raise ImproperlyConfigured(_TENANTS.format(using=using))
