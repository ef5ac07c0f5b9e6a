"""Tests of the whole: a package, so that a mesh that its modules share ends with the last of them."""
