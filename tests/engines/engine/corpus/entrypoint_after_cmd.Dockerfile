FROM kl/base
CMD ["x"]
ENTRYPOINT ["y"]
ENTRYPOINT []
CMD []
