FROM kl/base
COPY link.py /l.py
COPY sub/up /u
COPY sub/hard sub/a.txt /hard/
COPY dirlink /dl/
