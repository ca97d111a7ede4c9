FROM kl/base
COPY sub /sub
COPY sub/ /sub2/
COPY sub/deep sub/deep2 /both/
COPY empty /empty
COPY sub/deep/b.txt sub /mixed/
