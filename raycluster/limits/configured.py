"""A limit that is configured, else the one that the model is calibrated to."""

from collections.abc import Mapping

from raycluster.errors import ConfigError


def configured_or_calibrated(key: str, value: float | None, calibrated: Mapping[str, float]) -> float:
    """Return a configured limit, else the model's.

    Parameters
    ----------
    key : str
        Name of the setting, such as "edges.eta"; the model's limit has the name after the dot.
    value : float or None
        The configured limit.
    calibrated : mapping of str to float
        The limits of the model.

    Raises
    ------
    ConfigError
        There is neither.
    """
    value = calibrated.get(key.split(".")[1]) if value is None else value
    if value is None:
        raise ConfigError(f"{key} is not set and no model was given that was calibrated for it; set it or use --model.")
    return value
