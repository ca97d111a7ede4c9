"""`python -m kubelab.runtime`"""

import gc

gc.disable()  # imports make many objects and no garbage: looking for it takes 40 ms

from kubelab.component import main  # noqa: E402
from kubelab.runtime.daemon import run  # noqa: E402

gc.freeze()  # later collections pass over what is imported: its pages stay shared with forked children
gc.enable()
main(run)
