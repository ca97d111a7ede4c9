FROM \
  kl/base
RUN echo a && \
# comment
    # another
    echo b && \

    echo c
ENV A=1 \
    B=2 \
    C=3
LABEL a="one \
two"
