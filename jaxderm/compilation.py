"""The persistent compilation cache: the second start of a release or a training compiles nothing."""

import os
from pathlib import Path

import jax


def use_compilation_cache() -> None:
    """Keep compiled programs between processes, unless the user has set a place of their own."""
    if jax.config.jax_compilation_cache_dir is None:
        home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        jax.config.update("jax_compilation_cache_dir", str(home / "jaxderm" / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
