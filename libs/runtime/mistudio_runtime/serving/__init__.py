"""A gRPC server as every process of the mesh has it: health, reflection, one translation of errors.

Nothing is imported here: a health probe, which runs every few seconds, must not load the server.
"""
