from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("collab_storage", "0006_undoing"),
    ]

    operations: ClassVar = [
        migrations.AlterModelOptions(
            name="document",
            options={
                "ordering": ["name"],
                "verbose_name": "document",
                "verbose_name_plural": "documents",
            },
        ),
        migrations.AlterModelOptions(
            name="eventlease",
            options={"verbose_name": "failed change", "verbose_name_plural": "failed changes"},
        ),
        migrations.AlterModelOptions(
            name="refusedstate",
            options={
                "ordering": ["-at"],
                "verbose_name": "refused change",
                "verbose_name_plural": "refused changes",
            },
        ),
        migrations.AlterField(
            model_name="document",
            name="created_at",
            field=models.DateTimeField(verbose_name="created"),
        ),
        migrations.AlterField(
            model_name="document",
            name="name",
            field=models.CharField(max_length=255, unique=True, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="eventlease",
            name="attempts",
            field=models.PositiveIntegerField(default=0, verbose_name="attempts"),
        ),
        migrations.AlterField(
            model_name="eventlease",
            name="error",
            field=models.TextField(blank=True, verbose_name="error"),
        ),
        migrations.AlterField(
            model_name="eventlease",
            name="given_up_at",
            field=models.DateTimeField(null=True, verbose_name="given up"),
        ),
        migrations.AlterField(
            model_name="eventlease",
            name="name",
            field=models.CharField(max_length=255, unique=True, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="eventlease",
            name="until",
            field=models.DateTimeField(verbose_name="not tried again before"),
        ),
        migrations.AlterField(
            model_name="refusedstate",
            name="at",
            field=models.DateTimeField(verbose_name="time"),
        ),
        migrations.AlterField(
            model_name="refusedstate",
            name="is_set_back",
            field=models.BooleanField(verbose_name="set back"),
        ),
        migrations.AlterField(
            model_name="refusedstate",
            name="name",
            field=models.CharField(db_index=True, max_length=255, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="refusedstate",
            name="reasons",
            field=models.TextField(verbose_name="reasons"),
        ),
        migrations.AlterField(
            model_name="refusedstate",
            name="user_ids",
            field=models.JSONField(default=list, verbose_name="keys of the users"),
        ),
    ]
