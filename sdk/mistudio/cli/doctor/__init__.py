"""`mistudio doctor`: this machine and the mesh, looked at."""
