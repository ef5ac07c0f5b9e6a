"""From messages to what a terminal shows. Nothing here calls the mesh or prints."""
