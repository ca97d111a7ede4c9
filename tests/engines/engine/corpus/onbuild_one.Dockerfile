FROM kl/base AS parent
ONBUILD LABEL a=b
FROM parent
CMD ["x"]
