# escape=`
FROM kl/base
RUN echo one `
    two > /a
ENV P=C:\dir Q=a` b
LABEL x="C:\dir"
