"""What systemd is on a machine of a cluster: starts, restarts and stops processes, and loses a node on request."""
