FROM scratch
ADD special.tar /
