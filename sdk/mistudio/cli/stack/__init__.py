"""The mesh on this machine: started, stopped and looked at. The supervisor itself is another program."""
