# A stage of its own does the work; the image takes only its result.
FROM kubelab/python AS maker
WORKDIR /app
COPY make.py .
RUN python make.py

FROM kubelab/python
WORKDIR /app
COPY --from=maker /app/result.txt .
CMD ["cat", "result.txt"]
