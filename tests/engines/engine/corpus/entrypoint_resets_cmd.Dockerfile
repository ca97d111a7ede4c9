FROM kl/base
ENTRYPOINT exec top -b
