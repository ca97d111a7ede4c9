ARG V=1
FROM kl/base AS a
ARG V
RUN echo a$V > /v
FROM kl/base AS b
RUN echo b$V > /v
FROM a
RUN cat /v; echo c$V > /v
#build-arg V=9
