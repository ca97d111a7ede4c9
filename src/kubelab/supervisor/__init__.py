"""What systemd is on a machine of a cluster: starts the engines' processes, restarts, stops, and loses a node on request."""
