from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

import collab_storage.base


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Document",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255, unique=True)),
                ("snapshot", models.BinaryField(null=True)),
                ("snapshot_format", models.PositiveSmallIntegerField(default=1)),
                (
                    "version",
                    models.PositiveBigIntegerField(default=collab_storage.base.new_version),
                ),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
            options={"ordering": ["name"]},
        ),
        migrations.CreateModel(
            name="Update",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("data", models.BinaryField()),
                ("format", models.PositiveSmallIntegerField(default=1)),
                ("at", models.DateTimeField()),
                ("user_id", models.CharField(max_length=255, null=True)),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="updates",
                        to="collab_storage.document",
                    ),
                ),
            ],
        ),
    ]
