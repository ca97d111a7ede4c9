FROM kl/base
COPY app.py /f
COPY run.sh /f
COPY sub /d
COPY sub/deep /d
