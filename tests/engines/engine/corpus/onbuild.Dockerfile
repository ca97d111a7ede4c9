FROM kl/base AS parent
ONBUILD RUN echo triggered > /t
ONBUILD COPY app.py /on/
ONBUILD ENV X=1
RUN true
FROM parent
RUN cat /t
