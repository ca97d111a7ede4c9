FROM kl/base
RUN echo shell > /a
RUN ["/bin/sh", "-c", "echo exec > /b"]
RUN ["echo", "no shell $HOME"]
RUN echo one \
  # comment inside
  two \

  three > /c
RUN [ -f /a ] && echo yes
