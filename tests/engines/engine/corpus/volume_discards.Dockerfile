FROM kl/base
RUN mkdir /v && echo kept > /v/f
VOLUME /v
RUN echo lost > /v/g && ls /v
RUN ls /v
COPY app.py /v/
RUN ls /v
