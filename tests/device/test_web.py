"""aiohttp without the authorities of its import: each test asks a fresh interpreter, as a terminal starts one."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def fresh(program: str) -> str:
    """What a fresh interpreter prints."""
    argv = [sys.executable, "-c", "import os, ssl\nfrom device import web\n" + program]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_the_contexts_of_aiohttps_import_hold_no_authority():
    assert fresh("web.load(); from aiohttp import connector; print(connector._SSL_CONTEXT_VERIFIED.get_ca_certs())") == "[]"


def test_the_variables_of_openssl_are_as_before():
    assert fresh(
        "os.environ['SSL_CERT_FILE'] = 'mine'; os.environ.pop('SSL_CERT_DIR', None); web.load()\n"
        "print(os.environ['SSL_CERT_FILE'], 'SSL_CERT_DIR' in os.environ)"
    ) == "mine False"


def test_who_calls_https_gets_every_authority_of_the_system():
    assert fresh(
        "web.load(); system = ssl.create_default_context().get_ca_certs()\nprint(web.authorities().get_ca_certs() == system)"
    ) == "True"
