"""Starting the ranks: which launcher has started us, and which MPI's own is to; on which hosts."""
