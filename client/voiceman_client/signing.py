"""Signatures of seals: Ed25519 (RFC 8032) by the library `cryptography`, keys as PEM files.

The keys are those that `openssl genpkey -algorithm ed25519` makes. `cryptography` is an extra:
import this module only where something is signed or checked.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from voiceman.errors import ConfigurationError

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
except ImportError as err:
    raise ConfigurationError(
        "signatures need the package cryptography: pip install 'voiceman[sign]'"
    ) from err

K = TypeVar("K")

_PURPOSE = "voiceman.run_log/1"  # so that a signature of a seal cannot pass for anything else


@dataclass(frozen=True)
class Signature:
    """A signature of a seal, in hexadecimal digits.

    Attributes:
        seal: what was signed.
        public_key: of the signer, 32 bytes.
        signature: 64 bytes.
    """

    seal: str
    public_key: str
    signature: str


class Signer:
    """Somebody who holds a private key."""

    def __init__(self, path: Path) -> None:
        """Read the key.

        Raises:
            ConfigurationError: no such file, or not an Ed25519 key without a password.
        """
        self._key = _private_key(path)
        self.public_key = _digits(self._key.public_key())

    def sign(self, seal: str) -> Signature:
        """Sign a seal."""
        return Signature(seal, self.public_key, self._key.sign(_message(seal)).hex())


def make_keys(path: Path) -> Path:
    """Make a private key, readable by its owner only, and `<path>.pub` beside it.

    Returns:
        The path of the public key.

    Raises:
        ConfigurationError: a file is there already, or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    public = key.public_key().public_bytes(
        forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo
    )
    beside = path.with_name(f"{path.name}.pub")
    for file, content, mode in ((path, private, 0o600), (beside, public, 0o644)):
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as err:
            raise ConfigurationError(
                f"{file}: cannot be made ({err.strerror}); give another name"
            ) from err
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
    return beside


def check(signature: Signature, path: Path) -> str:
    """Check a signature with a public key.

    Args:
        signature: as the log has it.
        path: of the public key that the signer is known by.

    Returns:
        What is wrong; empty: the signature is this key's.

    Raises:
        ConfigurationError: no such file, or not an Ed25519 key.
    """
    key = _public_key(path)
    if signature.public_key != _digits(key):
        return f"signed by another key, {signature.public_key}, not {_digits(key)} of {path}"
    try:
        key.verify(bytes.fromhex(signature.signature), _message(signature.seal))
    except (InvalidSignature, ValueError):
        return f"the signature is not one that the key of {path} made for {signature.seal}"
    return ""


def _private_key(path: Path) -> Ed25519PrivateKey:
    return _key(path, lambda pem: forms.load_pem_private_key(pem, None), Ed25519PrivateKey)


def _public_key(path: Path) -> Ed25519PublicKey:
    return _key(path, forms.load_pem_public_key, Ed25519PublicKey)


def _key(path: Path, load: Callable[[bytes], object], kind: type[K]) -> K:
    try:
        key = load(_read(path))
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:  # TypeError: it has a password
        raise ConfigurationError(
            f"{path}: not a PEM file of an {kind.__name__} without a password ({err})"
        ) from err
    if not isinstance(key, kind):
        raise ConfigurationError(f"{path}: not an {kind.__name__}; see `voiceman-client keygen`")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise ConfigurationError(f"{path}: cannot be read ({err.strerror})") from err


def _digits(key: Ed25519PublicKey) -> str:
    return key.public_bytes_raw().hex()


def _message(seal: str) -> bytes:
    return f"{_PURPOSE} {seal}".encode()
