"""What scikit-learn expects of an estimator, without importing it.

Where it asks for types of its own, it is loaded already.
"""

import inspect
import sys
from typing import Any, Self

from jidcl.checks import check_choice


class NotFitted(ValueError, AttributeError):
    """An encoder was asked for what only a fitted one has."""


class Conventions:
    """Settings that are read and changed by name; a copy; whether it is fitted."""

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        held = inspect.signature(cls.__init__).parameters.values()
        return {one.name: one.default for one in held if one.name != "self"}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings by name.

        Args:
            deep: has no meaning here: no setting is an estimator.

        Returns:
            What the class takes.
        """
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **settings: Any) -> Self:
        """Change settings by name.

        Args:
            **settings: as of `get_params`.

        Returns:
            This encoder.

        Raises:
            ValueError: on an unknown name.
        """
        for name, value in settings.items():
            check_choice("parameter", name, self._defaults())
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        held = self.get_params()
        shown = [
            f"{k}={held[k]!r}" for k, own in self._defaults().items() if held[k] != own
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __getstate__(self) -> dict[str, Any]:
        # The pairs of the last fit may be a file of any size.
        fitted = {"pairs_": None} if hasattr(self, "params_") else {}
        return {**self.__dict__, **fitted}

    def __sklearn_tags__(self) -> Any:
        utils = sys.modules["sklearn.utils"]
        return utils.Tags(
            estimator_type=None,
            target_tags=utils.TargetTags(required=True, multi_output=True),
            transformer_tags=utils.TransformerTags(preserves_dtype=["float32"]),
            input_tags=utils.InputTags(),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "params_")

    def _check_fitted(self) -> None:
        if not hasattr(self, "params_"):
            held = sys.modules.get("sklearn.exceptions")
            kind = getattr(held, "NotFittedError", NotFitted)
            raise kind(f"{type(self).__name__} must be fitted first: call fit")
