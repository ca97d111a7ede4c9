FROM kl/base
LABEL x=y "com.example.key"="value with spaces" multi="line \
continued"
LABEL single value here
LABEL x=z b="$PATH" e=''
