from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("collab_storage", "0001_initial"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="QueuedEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(db_index=True, max_length=255)),
                (
                    "kind",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "created"), (2, "changed"), (3, "deleted"), (4, "renamed")]
                    ),
                ),
                ("at", models.DateTimeField()),
                ("quiet_at", models.DateTimeField()),
                ("latest_at", models.DateTimeField()),
                ("user_id", models.CharField(max_length=255, null=True)),
                ("old_name", models.CharField(blank=True, max_length=255)),
            ],
        ),
        migrations.CreateModel(
            name="EventLease",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255, unique=True)),
                ("holder", models.UUIDField()),
                ("until", models.DateTimeField()),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("error", models.TextField(blank=True)),
                ("given_up_at", models.DateTimeField(null=True)),
            ],
            options={"verbose_name": "failed change"},
        ),
    ]
