from typing import ClassVar

from django.db import migrations

import collab_storage.models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("collab_storage", "0007_labels"),
    ]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="update",
            name="id",
            field=collab_storage.models.LogRowIdField(primary_key=True, serialize=False),
        ),
    ]
