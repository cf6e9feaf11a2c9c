from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("collab_live", "0001_initial")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="StateList",
            fields=[
                ("name", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("is_cleared", models.BooleanField(default=False)),
                ("first", models.JSONField(default=list)),
                ("last", models.JSONField(default=list)),
                ("without", models.JSONField(default=list)),
            ],
        ),
    ]
