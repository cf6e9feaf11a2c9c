"""No client receives saved tasks."""

websockets = []
