"""The journal: what calls of the program have returned, in a file, so that a later job has it."""
