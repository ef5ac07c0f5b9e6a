"""How this machine is: its disks, its graphics processors, its clock."""
