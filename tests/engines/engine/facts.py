"""What dockerd 20.10 makes of one Dockerfile: recorded, so that the engine can be held to it without a dockerd."""

from __future__ import annotations

from harness_images import make_tar, symlink

INNER = make_tar({"sub/": b"", "sub/a.txt": ("data\n", 0o755), "app.py": "hello\n"})
CONTEXT = {
    "./": b"",
    "./app.py": "hello\n",
    "./sub/": b"",
    "./sub/a.txt": ("data\n", 0o755),
    "./sub/deep/": b"",
    "./sub/deep/b.txt": "deep\n",
    "./sub/broken": symlink("nowhere"),
    "./sub/up": symlink("../app.py"),
    "./link.py": symlink("app.py"),
    "./in.tar": INNER,
}
DOCKERFILE = """\
# a comment
ARG BASE=kubelab/python
FROM ${BASE}
ARG FOO=bar
ARG NOVAL
ENV A=1 B="two words" P=/x:$A
ENV OLD style value
LABEL x=y "com.example"="z z"
WORKDIR /app
WORKDIR sub
WORKDIR /tmp
COPY app.py /app/
COPY sub /app/sub2
COPY app.py sub/a.txt /multi/
COPY *.py /wild/
COPY link.py /app/l.py
COPY sub/ sub/deep /all/
COPY --chown=1000:1000 app.py /chown/new/
ADD in.tar /untar/
RUN echo hi > /out && echo to-stdout && echo to-stderr >&2
RUN true
RUN ["/bin/echo", "json"]
RUN echo one \\
    # comment
    two
EXPOSE 8080 9000/udp
USER nobody
ENTRYPOINT ["python3"]
CMD ["app.py"]
CMD echo shell form
"""
