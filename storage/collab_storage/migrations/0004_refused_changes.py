from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("collab_storage", "0003_versions"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="RefusedState",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(db_index=True, max_length=255)),
                ("at", models.DateTimeField()),
                ("user_ids", models.JSONField(default=list)),
                ("reasons", models.TextField()),
                ("state", models.BinaryField()),
                ("is_set_back", models.BooleanField()),
            ],
            options={
                "verbose_name": "refused change",
                "ordering": ["-at"],
            },
        ),
        migrations.CreateModel(
            name="ValidState",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=255, unique=True)),
                ("state", models.BinaryField()),
            ],
        ),
    ]
