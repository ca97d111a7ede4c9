"""`docker build`: Dockerfile → instructions → one function each → an image a step.

`dockerfile.py` parses, `words.py` knows quotes and `$variables`, `context.py` is what the client sent, `builder.py`
walks the steps, `instructions.py` does them; COPY and RUN have a file each. Upstream is the classic builder, moby's
builder/dockerfile, whose words, cache and images these are; where it is asked for what it does not do, it says so.
"""
