FROM kl/base
WORKDIR /w
COPY app.py .
COPY app.py ./x/
COPY sub ./
COPY app.py y
COPY app.py ..
