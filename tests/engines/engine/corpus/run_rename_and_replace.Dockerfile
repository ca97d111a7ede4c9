FROM kl/base
COPY sub /s
RUN rm -rf /s/deep && echo file > /s/deep
RUN rm /s/deep && mkdir /s/deep && echo in > /s/deep/x
RUN ln -sf /etc/passwd /s/a.txt
RUN mv /s/hard /s/moved
RUN rm -rf /s
