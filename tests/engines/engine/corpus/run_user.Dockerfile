FROM kl/base
RUN mkdir -m 777 /open
USER nobody
RUN id -u > /open/uid; touch /open/mine
USER 1234:5678
RUN touch /open/numeric
WORKDIR /open/made
USER root
RUN touch /open/root
