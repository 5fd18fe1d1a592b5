"""vsock: addresses, and what the parent side of an instance uses to talk to enclaves."""
