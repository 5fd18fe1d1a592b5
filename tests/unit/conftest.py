"""How property tests are run."""

from __future__ import annotations

import hypothesis

# No test is one of speed: machines are shared, and a deadline would measure the neighbours.
hypothesis.settings.register_profile("nitrosim", deadline=None)
hypothesis.settings.load_profile("nitrosim")
