"""Inside the fork server and its children: their life, their talk with the parent, and the object as a file."""
