"""Trees written as HTML, Markdown and text, and read from these."""

__all__: list[str] = []
