"""Images: content-addressed blobs, layers unpacked for overlayfs, configs and tags, as a container engine keeps them.

`ImageStore` (store.py) is the door; every other file holds one noun behind it. The engine writes, and the runtime and
the node agents read, all at the same time and without a daemon between them: whatever is here is complete, because it
was renamed into place.
"""

from kubelab.images.store import Image, ImageConflict, ImageNotFound, ImageStore

__all__ = ["Image", "ImageConflict", "ImageNotFound", "ImageStore"]
