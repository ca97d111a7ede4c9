"""Kubernetes by Breaking It: glass-box engines, and the course that breaks them."""

__version__ = "0.1.0"
