from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("collab_storage", "0005_authorship"),
    ]

    operations: ClassVar = [
        migrations.AddField(
            model_name="refusedstate",
            name="undoing",
            field=models.BinaryField(null=True),
        ),
    ]
