"""The state machines, the serializer and the other pure parts: no MPI, no processes."""
