FROM kl/base AS One
RUN echo 1 > /one
FROM kl/base AS two
RUN echo 2 > /two
FROM two AS three
RUN exit 1
#target TWO
