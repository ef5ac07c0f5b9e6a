"""What is looked at to say how the mesh is. Pure: each check judges facts that were gathered before."""
