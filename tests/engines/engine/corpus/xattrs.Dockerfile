FROM kl/base
COPY xattr /x
COPY xattr/f /y
