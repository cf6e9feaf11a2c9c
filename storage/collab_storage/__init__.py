"""The storages of django-collab's documents; ``base`` holds the contract, one module a backend."""
