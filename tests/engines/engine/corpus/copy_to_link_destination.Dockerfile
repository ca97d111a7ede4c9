FROM kl/base
RUN mkdir /real && ln -s /real /via && ln -s nowhere /dangling
COPY app.py /via/
COPY app.py /via
COPY sub /via/sub
COPY app.py /dangling
