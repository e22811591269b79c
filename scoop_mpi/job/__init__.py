"""One process's life as a rank of a job: the program, its beginning and its end."""
