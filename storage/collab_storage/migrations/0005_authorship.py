from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("collab_storage", "0004_refused_changes"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="StoredDeletions",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("user_id", models.CharField(db_index=True, max_length=255, null=True)),
                ("count", models.PositiveBigIntegerField()),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deletion_counts",
                        to="collab_storage.document",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="StoredRange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("client", models.PositiveBigIntegerField()),
                ("start", models.PositiveBigIntegerField()),
                ("end", models.PositiveBigIntegerField()),
                ("user_id", models.CharField(db_index=True, max_length=255, null=True)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="author_ranges",
                        to="collab_storage.document",
                    ),
                ),
            ],
        ),
    ]
