FROM kl/base
RUN echo 1 > /etc/mine
RUN cat /etc/hosts /etc/resolv.conf /etc/hostname > /dev/null; ls -a / > /dev/null
RUN echo x >> /etc/passwd
