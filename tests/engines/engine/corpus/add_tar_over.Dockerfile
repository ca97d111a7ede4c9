FROM kl/base
COPY sub /u
ADD plain.tar /u
ADD --chown=7:8 plain.tar /chowned/
