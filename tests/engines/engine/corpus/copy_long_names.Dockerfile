FROM scratch
COPY long /long
