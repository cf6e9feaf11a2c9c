"""Where django-collab keeps documents; ``base`` holds the contract, one module a backend."""
