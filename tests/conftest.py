"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# speed is measured in bench/: a machine that is busy fails no test
settings.register_profile("leanfunnel", deadline=None)
settings.load_profile("leanfunnel")
