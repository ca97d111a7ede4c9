ARG TAG=latest
ARG UNUSED_GLOBAL=x
FROM kl/base:${TAG}
ARG TAG
ARG FOO=bar
ARG GIVEN=default
ARG NOVALUE
ARG M1=1 M2=$FOO
RUN echo "$TAG $FOO $GIVEN $NOVALUE $M1 $M2" > /args
ENV FOO=env
RUN echo $FOO > /foo
LABEL l=$GIVEN-$NOVALUE
#build-arg GIVEN=passed
#build-arg NOBODY=asked
