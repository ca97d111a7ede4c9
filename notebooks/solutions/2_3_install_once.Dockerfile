FROM kubelab/python
WORKDIR /app
COPY install.sh .
RUN sh install.sh
COPY greet.py .
CMD ["python", "greet.py"]
