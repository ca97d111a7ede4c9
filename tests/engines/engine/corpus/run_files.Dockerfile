FROM kl/base
RUN mkdir -p /d/e && echo x > /d/e/f && ln -s f /d/e/s && ln /d/e/f /d/e/h && mkdir -m 1777 /d/sticky
RUN chmod 4755 /d/e/f && chown 12:34 /d/e
RUN touch /d/new && rm /d/e/s
RUN rm -rf /d/e
RUN mkdir /d/e && echo again > /d/e/g
RUN rm -rf /d && mkdir /d && echo fresh > /d/only
RUN mv /d /moved
RUN true
