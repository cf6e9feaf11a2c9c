"""Takes the place of ``y-provider``, the Node server of La Suite Docs.

See ``docs/from-la-suite.md``. A project that has documents of its own uses its own models; of a
document, the other modules need ``get_abilities(user)`` and ``subtree()``.
"""
