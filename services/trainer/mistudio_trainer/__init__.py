"""The trainer service: trains sparse autoencoders and tells what it measured."""
