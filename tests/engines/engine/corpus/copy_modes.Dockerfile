FROM scratch
COPY modes /modes
COPY owned /owned
