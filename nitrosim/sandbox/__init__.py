"""The launcher and its driver: namespaces, mounts in RAM, the system call filter, exec."""
