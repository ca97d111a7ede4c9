# syntax=docker/dockerfile:1
# escape=\
# check=skip=all

FROM kl/base
# a comment
RUN echo a # not a comment
   # indented comment
RUN echo "# quoted"
