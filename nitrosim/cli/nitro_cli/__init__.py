"""A ``nitro-cli`` that scripts for the real one need not know from it.

Same sub-commands, flags, output, exit statuses and errors, with Enclave Image Files read and
measured by `nitrosim.eif`. Nothing here adds a flag: what else nitrosim can do is a matter of the
``nitrosim`` command. `main` is the entry point.
"""
