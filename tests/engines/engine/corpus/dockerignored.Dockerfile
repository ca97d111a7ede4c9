FROM scratch
COPY . /
#ignore Dockerfile
#ignore .dockerignore
