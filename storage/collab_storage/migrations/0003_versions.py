from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("collab_storage", "0002_events"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="DocumentVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.BinaryField()),
                ("at", models.DateTimeField()),
                ("title", models.CharField(blank=True, max_length=255)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("auto", "auto"),
                            ("named", "named"),
                            ("restore", "restore"),
                            ("import", "import"),
                            ("replace", "replace"),
                        ],
                        max_length=20,
                    ),
                ),
                ("by", models.JSONField(default=list)),
                ("made_by", models.CharField(max_length=255, null=True)),
                ("edits", models.PositiveBigIntegerField()),
                ("restored_from", models.BigIntegerField(null=True)),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="versions",
                        to="collab_storage.document",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["document", "at"], name="collab_version_at")],
            },
        ),
        migrations.CreateModel(
            name="VersionBlob",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.BinaryField()),
                ("base", models.BinaryField(null=True)),
                ("format", models.PositiveSmallIntegerField(default=1)),
                ("insertions", models.PositiveBigIntegerField()),
                ("deletions", models.PositiveBigIntegerField()),
                ("data", models.BinaryField()),
                (
                    "document",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="version_blobs",
                        to="collab_storage.document",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("document", "digest"), name="collab_version_blob"
                    )
                ],
            },
        ),
    ]
