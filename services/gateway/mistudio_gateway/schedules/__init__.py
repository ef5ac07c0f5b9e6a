"""Jobs that the mesh submits by itself: the table, the broker's messages, what is known of each."""
