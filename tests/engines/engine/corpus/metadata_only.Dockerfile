FROM kl/base
MAINTAINER Somebody <some@body>
EXPOSE 80 443/tcp 53/udp 8000-8002
USER nobody:nogroup
STOPSIGNAL SIGINT
VOLUME /data
VOLUME ["/a", "/b c"]
VOLUME /x /y
CMD ["a", "b c", "d\"e"]
ENTRYPOINT ["/bin/sh", "-c"]
CMD echo shell form | cat
