FROM kl/base AS one
RUN mkdir /out && echo built > /out/f && ln -s f /out/l && ln /out/f /out/h && chown -R 1000:1000 /out && chmod 4755 /out/f
FROM kl/base
COPY --from=one /out /in
COPY --from=0 /out/f /g
COPY --from=one --chown=5:6 /out/f /chowned
FROM scratch
COPY --from=1 /in /
COPY --from=kl/base /etc/passwd /etc/group /etc/
