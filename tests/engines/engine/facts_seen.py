"""What dockerd 20.10.24 made of `facts.py` (with a base image of one layer), as its history and its layers say it."""

APP = "file:8a5325b9e38d143b07ec2240729be20dfa3ae1c98005efc11297019a152fdc0e"
HISTORY = [  # after the base image: created_by, bytes, whether it has a layer
    ("/bin/sh -c #(nop)  ARG FOO=bar", 0, False),
    ("/bin/sh -c #(nop)  ARG NOVAL", 0, False),
    ("/bin/sh -c #(nop)  ENV A=1 B=two words P=/x:", 0, False),
    ("/bin/sh -c #(nop)  ENV OLD=style value", 0, False),
    ("/bin/sh -c #(nop)  LABEL x=y com.example=z z", 0, False),
    ("/bin/sh -c #(nop) WORKDIR /app", 0, True),
    ("/bin/sh -c #(nop) WORKDIR /app/sub", 0, True),
    ("/bin/sh -c #(nop) WORKDIR /tmp", 0, False),
    (f"/bin/sh -c #(nop) COPY {APP} in /app/ ", 6, True),
    (
        "/bin/sh -c #(nop) COPY dir:00984f15f28bf223f2eaa9c790dca1980033908ebce11520cd8e62338a40592c in /app/sub2 ",
        26,
        True,
    ),
    (
        "/bin/sh -c #(nop) COPY multi:bd1eefce0f09218f57555349efa950907c8359918f7e58e198094b6e8f420963 in /multi/ ",
        11,
        True,
    ),
    (
        "/bin/sh -c #(nop) COPY multi:3c598ce5e8424abbba4b66f9ce6355d05b6d6ff09d56507d434f8ee9f07d9000 in /wild/ ",
        12,
        True,
    ),
    (f"/bin/sh -c #(nop) COPY {APP} in /app/l.py ", 6, True),
    (
        "/bin/sh -c #(nop) COPY multi:e185c1a1a81ecde98b73f56f28286efd114d36ab497f21490b36464a570503da in /all/ ",
        31,
        True,
    ),
    (f"/bin/sh -c #(nop) COPY --chown=1000:1000{APP} in /chown/new/ ", 6, True),
    (
        "/bin/sh -c #(nop) ADD file:187f2a076a06777e228d9b3d7b2686db888da36015b493b21d9cd9c3f3ad7164 in /untar/ ",
        11,
        True,
    ),
    ("|1 FOO=bar /bin/sh -c echo hi > /out && echo to-stdout && echo to-stderr >&2", 3, True),
    ("|1 FOO=bar /bin/sh -c true", 0, False),
    ("|1 FOO=bar /bin/echo json", 0, False),
    ("|1 FOO=bar /bin/sh -c echo one     two", 0, False),
    ("/bin/sh -c #(nop)  EXPOSE 8080 9000/udp", 0, False),
    ("/bin/sh -c #(nop)  USER nobody", 0, False),
    ('/bin/sh -c #(nop)  ENTRYPOINT ["python3"]', 0, False),
    ('/bin/sh -c #(nop)  CMD ["app.py"]', 0, False),
    ('/bin/sh -c #(nop)  CMD ["/bin/sh" "-c" "echo shell form"]', 0, False),
]
_DIR, _FILE, _LINK = b"5", b"0", b"2"
LAYERS = [  # after the base image: name, mode, owner, type, size, link
    [("app", 0o755, 0, _DIR, 0, "")],
    [("app", 0o755, 0, _DIR, 0, ""), ("app/sub", 0o755, 0, _DIR, 0, "")],
    [("app", 0o755, 0, _DIR, 0, ""), ("app/app.py", 0o644, 0, _FILE, 6, "")],
    [
        ("app", 0o755, 0, _DIR, 0, ""),
        ("app/sub2", 0o755, 0, _DIR, 0, ""),
        ("app/sub2/a.txt", 0o755, 0, _FILE, 5, ""),
        ("app/sub2/broken", 0o777, 0, _LINK, 0, "nowhere"),
        ("app/sub2/deep", 0o755, 0, _DIR, 0, ""),
        ("app/sub2/deep/b.txt", 0o644, 0, _FILE, 5, ""),
        ("app/sub2/up", 0o777, 0, _LINK, 0, "../app.py"),
    ],
    [
        ("multi", 0o755, 0, _DIR, 0, ""),
        ("multi/a.txt", 0o755, 0, _FILE, 5, ""),
        ("multi/app.py", 0o644, 0, _FILE, 6, ""),
    ],
    [
        ("wild", 0o755, 0, _DIR, 0, ""),
        ("wild/app.py", 0o644, 0, _FILE, 6, ""),
        ("wild/link.py", 0o644, 0, _FILE, 6, ""),
    ],
    [("app", 0o755, 0, _DIR, 0, ""), ("app/l.py", 0o644, 0, _FILE, 6, "")],
    [
        ("all", 0o755, 0, _DIR, 0, ""),
        ("all/a.txt", 0o755, 0, _FILE, 5, ""),
        ("all/b.txt", 0o644, 0, _FILE, 5, ""),
        ("all/broken", 0o777, 0, _LINK, 0, "nowhere"),
        ("all/deep", 0o755, 0, _DIR, 0, ""),
        ("all/deep/b.txt", 0o644, 0, _FILE, 5, ""),
        ("all/up", 0o777, 0, _LINK, 0, "../app.py"),
    ],
    [
        ("chown", 0o755, 1000, _DIR, 0, ""),
        ("chown/new", 0o755, 1000, _DIR, 0, ""),
        ("chown/new/app.py", 0o644, 1000, _FILE, 6, ""),
    ],
    [
        ("untar", 0o755, 0, _DIR, 0, ""),
        ("untar/app.py", 0o644, 0, _FILE, 6, ""),
        ("untar/sub", 0o755, 0, _DIR, 0, ""),
        ("untar/sub/a.txt", 0o755, 0, _FILE, 5, ""),
    ],
    [("out", 0o644, 0, _FILE, 3, "")],
]
# Dockerfile after `FROM kubelab/python` -> (HTTP status, message); status 200 is an error within the stream.
ERRORS = {
    "FOO bar": (400, "dockerfile parse error line 2: unknown instruction: FOO"),
    "COPY f": (
        400,
        "dockerfile parse error line 2: COPY requires at least two arguments, but only one was provided. "
        "Destination could not be determined",
    ),
    "ENV A": (400, "failed to parse Dockerfile: ENV must have two arguments"),
    "ENV A=1 B": (
        400,
        'failed to parse Dockerfile: Syntax error - can\'t find = in "B". Must be of the form: name=value',
    ),
    "LABEL": (400, "dockerfile parse error line 2: LABEL requires at least one argument"),
    "COPY --foo=1 f /x": (400, "dockerfile parse error line 2: Unknown flag: foo"),
    "WORKDIR": (400, "dockerfile parse error line 2: WORKDIR requires exactly one argument"),
    "USER": (400, "dockerfile parse error line 2: USER requires exactly one argument"),
    "ARG": (400, "dockerfile parse error line 2: ARG requires at least one argument"),
    "CMD [1]": (
        400,
        "failed to parse Dockerfile: when using JSON array syntax, arrays must be comprised of strings only",
    ),
    "RUN exit 3": (200, "The command '/bin/sh -c exit 3' returned a non-zero code: 3"),
    "RUN nosuchcmd": (200, "The command '/bin/sh -c nosuchcmd' returned a non-zero code: 127"),
    "COPY nope /x": (
        200,
        "COPY failed: file not found in build context or excluded by .dockerignore: stat nope: file does not exist",
    ),
    "COPY f d /x": (
        200,
        "When using COPY with more than one source file, the destination must be a directory and end with a /",
    ),
    "COPY ../f /x": (200, "COPY failed: forbidden path outside the build context: ../f ()"),
    "ADD f f2 /q/": (
        200,
        "ADD failed: file not found in build context or excluded by .dockerignore: stat f2: file does not exist",
    ),
    "EXPOSE abc": (200, "Invalid containerPort: abc"),
    "EXPOSE 1/foo": (200, "Invalid proto: foo"),
    "ENV X=${Y": (200, "failed to process \"${Y\": missing ':' in substitution"),
    "COPY --chmod=1 f /": (
        200,
        "the --chmod option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ "
        "to learn how to build images with BuildKit enabled",
    ),
}
