"""The shop: three features in one code base, run in one process (the monolith) or as a service each."""
