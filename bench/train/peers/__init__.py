"""Programs that train with other libraries, each in an environment of its own."""
