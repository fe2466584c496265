"""Tensors and facts in one safetensors file, with a checksum: no pickle, and damage is noticed."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from rmatch._errors import CheckpointError
from rmatch._files import atomic_write

_KEY = "rmatch"


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and JSON values to a safetensors file, whole or not at all.

    Args:
        path: The file; what it held stays until the new content is on disk.
        tensors: By name, any shape and dtype, on any device.
        facts: Values that JSON can hold.

    Raises:
        OutputError: The folder is missing or not writable, or the disk is full.
    """
    from safetensors.torch import save

    held = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(facts, sort_keys=True)
    # One entry: safetensors writes several in any order, and the same run should leave the same bytes.
    content = save(held, metadata={_KEY: _checksum(held, text) + text})
    with atomic_write(path) as file:
        file.write(content)


def read_tensors(path: str | os.PathLike[str], what: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts that `write_tensors` wrote.

    Args:
        path: The file.
        what: What the file is, for an error message, such as `"checkpoint"`.

    Raises:
        CheckpointError: The file is missing, cut short, changed, or not one of rmatch's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"there is no {what} at {path}") from None
    except OSError as error:
        raise CheckpointError(f"cannot read the {what} {path}: {error.strerror or error}") from error
    try:
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(
            f"the {what} {path} is damaged or cut short at {len(content)} bytes ({error}); "
            "take a copy that is whole, or train again with --overwrite"
        ) from error
    entry: str | None = (header.get("__metadata__") or {}).get(_KEY)
    if entry is None:
        raise CheckpointError(f"{path} is a safetensors file, but not a {what} that rmatch wrote")
    if entry[:8] != _checksum(tensors, entry[8:]):
        raise CheckpointError(
            f"the {what} {path} is damaged: its checksum is not that of its content; "
            "take a copy that is whole, or train again with --overwrite"
        )
    return tensors, cast("dict[str, Any]", json.loads(entry[8:]))


def checksum(tensor: Tensor) -> str:
    """Eight hexadecimal digits that change with any entry of the tensor."""
    return f"{zlib.crc32(_bytes(tensor)):08x}"


def _checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    value = zlib.crc32(text.encode())
    for name in sorted(tensors):
        value = zlib.crc32(_bytes(tensors[name]), zlib.crc32(name.encode(), value))
    return f"{value:08x}"


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return flat.numpy().tobytes()
