"""`python -m kubelab.runtime`"""

from kubelab.component import main
from kubelab.runtime.daemon import run

main(run)
