FROM kl/base
ADD plain.tar /plain/
ADD gz.tar.gz /gz
ADD bz2.tar.bz2 /bz2/
ADD xz.tar.xz /xz/
ADD not.gz /notgz
ADD app.py /just/
