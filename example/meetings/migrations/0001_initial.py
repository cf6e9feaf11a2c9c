from typing import ClassVar

from django.db import migrations, models

import collab.editor.fields


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Meeting",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("title", models.CharField(max_length=200)),
                ("place", models.CharField(blank=True, max_length=200)),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                (
                    "agenda",
                    collab.editor.fields.CollaborativeTextField(
                        history=True, placeholder="Topics of the meeting"
                    ),
                ),
            ],
            options={"ordering": ("starts_at", "pk")},
        ),
    ]
