"""The benches, one module each with a constant `BENCH`; `benchmarks.catalogue` names them all."""
