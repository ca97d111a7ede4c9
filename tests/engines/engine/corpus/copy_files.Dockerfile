FROM kl/base
COPY app.py /app/
COPY app.py run.sh /multi/
COPY app.py /renamed
COPY ["a b.txt", "/spaces/"]
COPY é.txt /
COPY .hidden /hid/den
COPY app.py /tmp
COPY app.py /app
