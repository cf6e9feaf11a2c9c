"""Programs that use the samples of the documentation; they run in a project made of these.

``exercise_<page>.py`` is copied into the project of that page and run there by pytest.
"""
