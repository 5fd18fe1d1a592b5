"""What describe-eif prints, beyond the images in fixtures/eif."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from nitrosim.eif import Eif, EifError, describe, describe_as_text, sign_eif
from nitrosim.eif.signature import read_sign1, write_section

S, M = 4, 5


def described(image, **options):
    return describe(Eif.from_bytes(image), **options)


def refusal(image):
    with pytest.raises(EifError) as caught:
        described(image)
    return caught.value


@pytest.fixture
def with_metadata(make_image, parts, metadata):
    """Make images with other metadata than usual."""

    def make(**changes):
        content = replace(metadata, **changes).to_bytes()
        return make_image([(kind, content if kind == M else old) for kind, old in parts])

    return make


@pytest.fixture
def signed(make_image, tmp_path, a_signer):
    path = tmp_path / "signed.eif"
    path.write_bytes(make_image())
    sign_eif(path, a_signer)
    return path.read_bytes()


def test_text_is_pretty_json_in_the_order_of_the_object(with_metadata):
    image = with_metadata(docker_info={"b": [], "a": {}, "c": ["ä"]}, custom={"Z": 1e100})
    text = describe_as_text(Eif.from_bytes(image))

    assert json.loads(text) == described(image)
    assert text.splitlines()[:4] == [
        "{",
        '  "EifVersion": 4,',
        '  "Measurements": {',
        '    "HashAlgorithm": "Sha512_48 { .. }",',
    ]
    assert text.endswith(
        '    "DockerInfo": {\n      "a": {},\n      "b": [],\n      "c": [\n        "ä"\n'
        '      ]\n    },\n    "Z": 1e+100\n  }\n}'
    )


def test_image_without_metadata_has_no_name(make_image, parts):
    image = make_image([part for part in parts if part[0] != M])

    assert ["EifVersion", "Measurements", "IsSigned", "CheckCRC"] == list(described(image))


def test_custom_metadata_follows_the_other_keys(with_metadata):
    found = described(with_metadata(custom={"b": 1, "a": [{"c": None}]}))["Metadata"]

    assert ["DockerInfo", "a", "b"] == list(found)[-3:]


def test_custom_metadata_that_is_null_adds_nothing(with_metadata):
    assert "DockerInfo" == list(described(with_metadata())["Metadata"])[-1]


@pytest.mark.parametrize("custom", [[], "text", 1, True, 1.5])
def test_custom_metadata_that_is_no_object_is_refused(with_metadata, custom):
    assert "CUSTOM_METADATA" == refusal(with_metadata(custom=custom)).code


def test_custom_key_replaces_one_of_ours(with_metadata):
    assert "mine" == described(with_metadata(custom={"BuildTool": "mine"}))["Metadata"]["BuildTool"]


def test_signed_image_has_its_keys_in_order(signed):
    assert [
        "EifVersion",
        "Measurements",
        "IsSigned",
        "SigningCertificate",
        "CheckCRC",
        "SignatureCheck",
        "ImageName",
        "ImageVersion",
        "Metadata",
    ] == list(described(signed))


def test_invalid_signature_is_an_error(signed, make_image, parts):
    entry = Eif.from_bytes(signed).signature.entries[0]
    cose = replace(read_sign1(entry.cose), signature=bytes(96)).to_bytes()
    image = make_image((*parts, (S, write_section(entry.certificate, cose))))

    assert "SIGNATURE_INVALID" == refusal(image).code


def test_signature_over_another_image_is_a_result(signed, make_image, parts):
    entry = Eif.from_bytes(signed).signature.entries[0]
    signature = (S, write_section(entry.certificate, entry.cose))

    found = described(make_image(((1, b"other kernel"), *parts[1:], signature)))

    assert (True, False) == (found["IsSigned"], found["SignatureCheck"])


def test_image_without_signature_cannot_be_verified(make_image):
    with pytest.raises(EifError) as caught:
        Eif.from_bytes(make_image()).verify_for_boot(at=datetime(2026, 1, 1, tzinfo=UTC))

    assert "NOT_SIGNED" == caught.value.code
