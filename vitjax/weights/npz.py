"""An `.npz` file in, numpy arrays by name out; what would have to be unpickled is refused."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from vitjax.errors import InputError


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads the floating-point arrays of an `.npz` file: {name: array} in the file's own dtypes.

    Raises:
        InputError: a file that cannot be read, is none, or holds Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: array for name in file.files if np.issubdtype((array := file[name]).dtype, np.floating)}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (AttributeError, BadZipFile, ValueError, EOFError) as error:
        raise InputError(f"{path} is damaged or not an .npz file of arrays ({error})") from None
