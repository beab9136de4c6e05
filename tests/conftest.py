"""Settings of all tests."""

import hypothesis

# no test is timed: the machine may be busy
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
