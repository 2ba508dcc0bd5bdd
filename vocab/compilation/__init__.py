"""How kernels are compiled, where the compiled ones are kept, and what a person sees of it."""
