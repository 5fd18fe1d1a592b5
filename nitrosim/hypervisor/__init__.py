"""The process that plays the Nitro Hypervisor: enclaves, system calls, vsock, consoles."""
