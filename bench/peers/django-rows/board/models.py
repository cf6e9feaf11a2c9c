from django.db import models


class Task(models.Model):
    """A task on a board, of which nothing is kept but its number."""

    board = models.IntegerField(db_index=True)
    title = models.CharField(max_length=200)
    state = models.CharField(max_length=20, default="open")
    position = models.FloatField(default=0)
    done = models.BooleanField(default=False)
    due = models.DateField(null=True)

    def __str__(self) -> str:
        return self.title
