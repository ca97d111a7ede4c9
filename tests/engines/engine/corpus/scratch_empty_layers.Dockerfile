FROM scratch
ENV A=1
LABEL a=b
WORKDIR /w/x
COPY app.py .
