FROM kl/base
ENV a=hello n=
ENV b=${a}world c=$a$a d=\$a e='$a' f="\$a" g=${n:-${a}x} h=${n:+no} i=${a:+yes} j="${n:-"q"}"
