import base64

import pytest

from fake_nsm import InvalidValueError, PkiError, RootAuthority, seeded_entropy


def test_a_root_survives_pem(root):
    certificate_pem, private_key_pem = root.to_pem()
    again = RootAuthority.from_pem(certificate_pem, private_key_pem)
    assert root.certificate_der == again.certificate_der
    assert (root.sha256, root.to_pem()) == (again.sha256, again.to_pem())
    assert root.authority.not_before == again.authority.not_before
    assert root.authority.not_after == again.authority.not_after
    assert root.authority.key_id == again.authority.key_id


def pem(der: bytes) -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"


def test_a_root_is_not_taken_from_other_certificates(root, clock, make_pki):
    other = RootAuthority.create(clock=clock, entropy=seeded_entropy(b"other"))
    regional = make_pki().cabundle()[1]
    key = root.private_key_pem
    with pytest.raises(PkiError, match="belong together"):
        RootAuthority.from_pem(other.certificate_pem, key)
    with pytest.raises(PkiError, match="not the root of a test PKI"):
        RootAuthority.from_pem(pem(regional), key)
    with pytest.raises(PkiError, match="not a PEM certificate"):
        RootAuthority.from_pem("nonsense", key)
    with pytest.raises(InvalidValueError):
        RootAuthority.from_pem(root.certificate_pem, "nonsense")


def test_the_root_of_aws_is_not_taken_for_a_test_root(real_docs, root):
    amazon = (real_docs / "aws-nitro-enclaves-root-g1.pem").read_text()
    with pytest.raises(PkiError, match="O=Amazon"):
        RootAuthority.from_pem(amazon, root.private_key_pem)
