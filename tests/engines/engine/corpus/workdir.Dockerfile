FROM kl/base
WORKDIR /w1
WORKDIR w2/w3
WORKDIR ../w4
ENV D=/from/env
WORKDIR $D/sub
WORKDIR /tmp
RUN pwd > /w1/where
