FROM kl/base
RUN echo x > /x
#label who=me
#label a=b c
