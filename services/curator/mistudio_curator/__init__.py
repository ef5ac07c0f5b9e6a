"""The curator: keeps the artifact store in order and answers questions about it."""
