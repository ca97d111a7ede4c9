from kl/base as X
env a=b
run echo $a > /f
from kl/base
copy --from=x /f /g
cmd ["x"]
