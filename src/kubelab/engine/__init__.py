"""The Docker engine: the Docker Engine API on a unix socket, over the image store and the runtime.

`engine.py` holds what every route needs, `app.py` the list of the modules that offer routes, `builder/` what
`docker build` does. Upstream: https://github.com/moby/moby (api/server, daemon, builder/dockerfile).
"""
