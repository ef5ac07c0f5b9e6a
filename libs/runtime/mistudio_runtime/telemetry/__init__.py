"""What a running service tells people and machines about itself."""
