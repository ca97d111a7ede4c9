# With a file .dockerignore that says: secret.txt
# the line COPY . . would be safe, too. Naming what one wants cannot forget anything.
FROM kubelab/python
WORKDIR /app
COPY greet.py words.txt ./
CMD ["python", "greet.py"]
