FROM kl/base
WORKDIR /app
ENV PORT=8080
COPY app.py run.sh ./
RUN chmod +x run.sh && mkdir data
EXPOSE $PORT
HEALTHCHECK CMD test -f app.py
USER nobody
CMD ["./run.sh"]
