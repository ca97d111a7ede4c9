FROM kl/base
COPY /app.py /a/../b/
COPY ./sub/../app.py /c
COPY sub/. /d/
COPY ./ /e/
