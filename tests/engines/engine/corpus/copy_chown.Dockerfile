FROM kl/base
COPY --chown=1000:1001 app.py /num/new/
COPY --chown=1000 app.py /user
COPY --chown=nobody:0 app.py /named
COPY --chown=nobody:root sub /tree
COPY --chown=0:nogroup modes /modes
ARG WHO=nobody
COPY --chown=$WHO:5 run.sh /var/run.sh
