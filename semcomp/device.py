"""Which device networks run on, checked before anything is loaded."""

import torch

from semcomp.errors import ModelError


def checked_device(name: str) -> torch.device:
    """Return the device of a name.

    Args:
        name: torch's name of a device, such as "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        ModelError: The device does not exist here. The message names the devices that do.

    Example:
        >>> checked_device("cpu")
        device(type='cpu')
    """
    present = _present()
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device in present or (device and device.index is None and device.type in {here.type for here in present}):
        return device
    raise ModelError(f"the device {name!r} does not exist here: choose one of {', '.join(map(str, present))}")


def _present() -> list[torch.device]:
    """List the devices of this machine; cpu comes first."""
    devices = [torch.device("cpu")]
    if torch.cuda.is_available():
        devices += [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append(torch.device("mps"))
    return devices
