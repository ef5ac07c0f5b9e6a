"""Following jobs on the screen."""
