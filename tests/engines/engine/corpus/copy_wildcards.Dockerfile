FROM kl/base
COPY *.py /py/
COPY su? /q/
COPY [a-b]*.txt /class/
COPY sub/*/b.txt /star/
COPY modes/* /modes/
