"""For scripts of Keras 1 and 2, with only their import line changed.

Importing this gives `keras.Model`, and so `Sequential` and functional models, the methods `fit_generator`,
`evaluate_generator` and `predict_generator`. All other names of penstock are here as well:

    from keras.preprocessing.image import ImageDataGenerator   # before
    from penstock.legacy import ImageDataGenerator             # now
    from penstock import legacy as image                       # for `from keras.preprocessing import image`

A method that a Keras brings itself stays as it is. `import penstock` alone changes nothing about Keras.
"""

from __future__ import annotations

from typing import Any

import penstock
from penstock.keras._compat import install_methods

__all__ = [*penstock._LAZY]

install_methods()


def __getattr__(name: str) -> Any:
    if name in penstock._LAZY:
        return getattr(penstock, name)
    raise AttributeError(f"module 'penstock.legacy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
