"""What tests of Comporta and of adapters for it stand on: a clock that jumps, sources that obey."""
