FROM kl/base
SHELL ["/bin/bash", "-e", "-c"]
RUN echo ${BASH_VERSION:+bash} > /which
CMD echo hi
ENTRYPOINT run me
SHELL ["/bin/sh", "-c"]
RUN echo again
