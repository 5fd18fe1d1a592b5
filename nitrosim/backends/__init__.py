"""Where an enclave's root file system and program come from."""
