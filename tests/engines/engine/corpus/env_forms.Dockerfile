FROM kl/base
ENV A=1 B="two words" C='single $A' D=esc\ aped E=$A-${B}-${NOPE:-dflt}-${A:+set}
ENV OLD style  value with "quotes"
ENV A=2 PATH=/x:$PATH
ENV EMPTY= Q=a"b"c
RUN echo "$A|$B|$C|$D|$E|$OLD|$EMPTY|$Q" > /env
