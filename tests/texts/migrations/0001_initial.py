import uuid
from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

import collab.editor.fields


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Article",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("title", models.CharField(max_length=100)),
                ("body", collab.editor.fields.CollaborativeTextField(history=True)),
                (
                    "summary",
                    collab.editor.fields.CollaborativeTextField(
                        editor="plain", placeholder="In short"
                    ),
                ),
                ("views", models.IntegerField(default=0)),
                ("note", models.TextField(blank=True)),
                ("due", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("text", collab.editor.fields.CollaborativeTextField(editor="plain", null=True)),
                ("word", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("is_open", models.BooleanField(default=False)),
            ],
            options={
                "verbose_name_plural": "entries",
            },
        ),
        migrations.CreateModel(
            name="Leaflet",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                (
                    "text",
                    collab.editor.fields.CollaborativeTextField(editor="code", language="python"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Review",
            fields=[
                (
                    "article_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                        to="texts.article",
                    ),
                ),
                ("verdict", collab.editor.fields.CollaborativeTextField(editor="markdown")),
            ],
            bases=("texts.article",),
        ),
        migrations.CreateModel(
            name="ArticleProxy",
            fields=[],
            options={
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("texts.article",),
        ),
        migrations.CreateModel(
            name="Section",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("heading", models.CharField(max_length=100)),
                ("text", collab.editor.fields.CollaborativeTextField(editor="plain")),
                (
                    "article",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sections",
                        to="texts.article",
                    ),
                ),
            ],
        ),
    ]
