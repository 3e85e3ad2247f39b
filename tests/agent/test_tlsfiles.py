"""TLS files that can be read and are of no use are mistakes of the configuration, not a daemon that cannot start."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from agent.config import file_problems, load
from tests.agent.test_config import RIGHT, keyed
from tests.device.acquirer import certificates
from tests.device.acquirer.certificates import Certificates

OWN = 'tls_ca = "{ca}"\ntls_cert = "{cert}"\ntls_key = "{key}"\n'
SECTIONS = {
    "acquirer": "tls_enabled = true\n" + OWN,
    "relay": '[recovery]\nmode = "relay"\n[relay]\nlisten = "127.0.0.1:1"\n' + OWN,
    "mqtt": '[mqtt]\nurl = "mqtts://b"\nca = "{ca}"\ncert = "{cert}"\nkey = "{key}"\n',
}


@pytest.fixture
def files(tmp_path: Path) -> Certificates:
    """An authority, a certificate and its key."""
    made = certificates.make(tmp_path)
    made.key.chmod(0o600)
    return made


def found(folder: Path, section: str, files: Certificates) -> dict[str, tuple[str, str]]:
    """What is wrong with these files in this section: the file and the reason by setting."""
    config = load(keyed(folder, RIGHT + SECTIONS[section].format(**files._asdict())))
    return {problem.key: (problem.file, problem.en) for problem in file_problems(config)}


def junk(path: Path) -> Path:
    """What is no PEM file."""
    path.write_text("hello\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("section", SECTIONS)
def test_files_that_fit_have_no_problem(section: str, tmp_path: Path, files: Certificates) -> None:
    assert found(tmp_path, section, files) == {}


@pytest.mark.parametrize("section", SECTIONS)
def test_an_authority_without_a_certificate_and_a_certificate_that_is_none_are_named(
    section: str, tmp_path: Path, files: Certificates
) -> None:
    bad = files._replace(ca=junk(tmp_path / "ca.txt"), cert=junk(tmp_path / "cert.txt"))
    said, prefix = found(tmp_path, section, bad), "mqtt." if section == "mqtt" else f"{section}.tls_"
    assert said[f"{prefix}ca"] == (str(bad.ca), "holds no certificate in PEM form")
    assert said[f"{prefix}cert"] == (str(bad.cert), f"is no certificate in PEM form, or {files.key} no key in it")
    assert len(said) == 2


def test_a_key_of_another_certificate_is_named(tmp_path: Path, files: Certificates) -> None:
    (tmp_path / "other").mkdir()
    other = certificates.make(tmp_path / "other")
    other.key.chmod(0o600)
    said = found(tmp_path, "relay", files._replace(key=other.key))
    assert said == {"relay.tls_cert": (str(files.cert), f"is not the certificate of the key in {other.key}")}


def test_a_key_that_asks_for_a_password_is_named_and_nobody_is_asked(tmp_path: Path, files: Certificates) -> None:
    key = load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    said = found(tmp_path, "acquirer", files)
    assert said == {"acquirer.tls_key": (str(files.key), "asks for a password: write the key without one, with mode 0600")}


def test_the_authority_of_a_gateway_is_looked_at_too(tmp_path: Path) -> None:
    text = f'[wallet]\nurl = "https://w"\nca = "{junk(tmp_path / "ca.txt")}"\nkey_file = "mac.key"\n'
    assert "wallet.ca" in {problem.key for problem in file_problems(load(keyed(tmp_path, RIGHT + text)))}
