"""Nobody is told of saved tasks."""

websockets = []
