"""A ``nitro-cli`` that scripts for the real one need not know from it.

Same sub-commands, flags, output, exit statuses and errors, with Enclave Image Files read and
measured by `nitrosim.eif`. Nothing here adds a flag: what else nitrosim can do is a matter of the
``nitrosim`` command. `main` is the entry point.

Scripts call nitro-cli in loops, so every call loads next to nothing, and the rest is loaded by the
function that needs it. `typing`, `re`, `dataclasses`, `pathlib` and `json` each take about as long
to load as Python takes to start. Therefore, in these modules:

* values are classes with slots that are derived from `Record`, not dataclasses;
* attributes are ``Final``, so that mypy sees who would change one;
* paths are text, for `os.path`;
* error codes, which are an Enum, are loaded when there is an error;
* what only mypy needs is imported below ``if TYPE_CHECKING``.

`tests/unit/cli/nitro_cli/test_main.py` lists what a call may not load.
"""
