from typing import ClassVar

import django.core.serializers.json
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="MirroredDocument",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255, unique=True)),
                ("client_id", models.PositiveBigIntegerField(null=True)),
                ("opened_at", models.DateTimeField(null=True)),
                ("writings", models.PositiveBigIntegerField(default=0)),
                ("fresh_size", models.PositiveBigIntegerField(null=True)),
            ],
            options={
                "verbose_name": "mirrored document",
            },
        ),
        migrations.CreateModel(
            name="MirroredRow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("map_name", models.CharField(max_length=255)),
                ("key", models.CharField(max_length=255)),
                ("client_key", models.CharField(max_length=36, null=True)),
                (
                    "values",
                    models.JSONField(encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rows",
                        to="collab_mirror.mirroreddocument",
                    ),
                ),
            ],
            options={
                "verbose_name": "mirrored row",
                "indexes": [models.Index(fields=["map_name", "key"], name="collab_mirror_row_key")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("document", "map_name", "key"), name="collab_mirror_row_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="MirroredRefresh",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("ids", models.JSONField()),
                ("witness", models.JSONField()),
                ("left", models.JSONField()),
                ("content", models.BinaryField(null=True)),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="refreshes",
                        to="collab_mirror.mirroreddocument",
                    ),
                ),
            ],
            options={
                "verbose_name": "mirrored refresh",
            },
        ),
    ]
