FROM kl/base
RUN echo "$http_proxy" > /p
ARG https_proxy
RUN echo "$https_proxy" > /q
#build-arg http_proxy=http://proxy
#build-arg https_proxy=http://secure
